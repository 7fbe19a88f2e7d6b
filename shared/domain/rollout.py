"""Who is inside a rollout: a stable draw per experiment and user.

Invariant: raising the percentage never moves a user out, and experiments draw independently.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final, NewType

from shared.domain.ids import UserId

Arm = NewType("Arm", str)
"""Which side of a rollout a user was on when a call was routed: `cloudflare:inside`."""
CLOUDFLARE_ROLLOUT: Final = "cloudflare"
"""The rollout that moves users to Cloudflare."""
ROLLOUTS: Final = (CLOUDFLARE_ROLLOUT,)
BUCKETS = 10_000
"""A step is a hundredth of a percent."""

_SALT = "sluiceway.rollout"


@dataclass(frozen=True, slots=True)
class Rollout:
    """How far a rollout has come.

    Attributes:
        percent: Of all users, 0 … 100, in steps of 0.01.
        generation: Grows by one with every change.
        changed_by: A person's key, or the setting that it began with.
    """

    name: str
    percent: Decimal
    generation: int
    changed_at: datetime
    changed_by: str
    reason: str


def bucket(experiment: str, user_id: UserId) -> int:
    """Return the user's bucket in 0 … 9,999, the same in every process and for ever."""
    drawn = hashlib.sha256(f"{_SALT}\0{experiment}\0{user_id}".encode()).digest()
    return int.from_bytes(drawn[:8], "big") % BUCKETS


def is_inside(experiment: str, user_id: UserId, percent: Decimal) -> bool:
    """Tell whether the user takes part when `percent` (0 … 100) of all users do."""
    return bucket(experiment, user_id) < percent * (BUCKETS // 100)


def arm_of(experiment: str, *, inside: bool) -> Arm:
    """Return the name of an arm, as attempts, ledger and reports have it."""
    return Arm(f"{experiment}:{'inside' if inside else 'outside'}")
