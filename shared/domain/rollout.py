"""Who is inside a rollout: a stable draw per experiment and user.

Invariant: raising the percentage never moves a user out, and experiments draw independently.
"""

import hashlib
from decimal import Decimal

from shared.domain.ids import UserId

BUCKETS = 10_000
"""A step is a hundredth of a percent."""

_SALT = "sluiceway.rollout"


def bucket(experiment: str, user_id: UserId) -> int:
    """Return the user's bucket in 0 … 9,999, the same in every process and for ever."""
    drawn = hashlib.sha256(f"{_SALT}\0{experiment}\0{user_id}".encode()).digest()
    return int.from_bytes(drawn[:8], "big") % BUCKETS


def is_inside(experiment: str, user_id: UserId, percent: Decimal) -> bool:
    """Tell whether the user takes part when `percent` (0 … 100) of all users do."""
    return bucket(experiment, user_id) < percent * (BUCKETS // 100)
