"""Rollouts: how many users are inside, as ops change it while everything runs."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from shared.domain.rollout import Rollout


@dataclass(frozen=True, slots=True)
class RolloutChange:
    """A wish to move a rollout; `by` names the person for the audit trail."""

    name: str
    percent: Decimal
    by: str
    reason: str = ""


class RolloutRepository(Protocol):
    """The truth about rollouts."""

    async def all(self) -> Sequence[Rollout]:
        """Return every rollout, by name."""
        ...

    async def get(self, name: str) -> Rollout | None:
        """Return a rollout.

        Raises:
            DatabaseUnavailableError: The percentage is unknown: keep the last one.
        """
        ...

    async def begin(self, change: RolloutChange) -> Rollout:
        """Store what a rollout begins with, and return it as it stands; one that is there stays."""
        ...

    async def change(self, change: RolloutChange) -> Rollout | None:
        """Move a rollout, one generation on, with an audit entry; None when there is none.

        A change to the present percentage changes nothing, so that it is safe to repeat.
        """
        ...
