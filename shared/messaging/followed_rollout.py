"""A rollout's percentage in a worker's memory, so that routing asks nobody.

Invariant: once it was read, the last percentage stays until another is read, whatever is away.
"""

from decimal import Decimal

import structlog

from shared.domain.errors import DatabaseUnavailableError
from shared.domain.rollout import CLOUDFLARE_ROLLOUT
from shared.messaging.rounds import Refresh
from shared.observability.starting import until_there
from shared.ports.rollouts import RolloutChange, RolloutRepository

_log = structlog.stdlib.get_logger(__name__)


def cloudflare_rollout(share: Decimal) -> RolloutChange:
    """Return what the rollout to Cloudflare begins with: the setting's share, 0 … 1."""
    return RolloutChange(CLOUDFLARE_ROLLOUT, share * 100, "CLOUDFLARE_ROLLOUT", "the first setting")


class FollowedRollout:
    """One rollout as this process last read it.

    Args:
        rollouts: The truth.
        initial: What the rollout begins with if nobody has begun it yet.
    """

    def __init__(self, rollouts: RolloutRepository, initial: RolloutChange) -> None:
        self._rollouts = rollouts
        self._initial = initial
        self._percent: Decimal | None = None

    async def refresh(self) -> None:
        """Read the percentage; where there is none yet, the initial one is stored.

        Raises:
            DatabaseUnavailableError: The last one stays.
        """
        found = await self._rollouts.get(self._initial.name)
        if found is None:
            found = await self._rollouts.begin(self._initial)
        if found.percent != self._percent:
            self._percent = found.percent
            _log.info("rollout.followed", rollout=found.name, percent=str(found.percent))

    async def is_read(self) -> bool:
        """Read the percentage and tell that it is known; a check to wait for at start.

        Raises:
            DatabaseUnavailableError: It is not.
        """
        await self.refresh()
        return True

    def refreshed(self) -> Refresh:
        """Return what a worker does to follow."""
        return Refresh("rollout", self.refresh)

    def percent(self) -> Decimal:
        """Return the percentage from memory.

        Raises:
            DatabaseUnavailableError: It was never read; work must come back later.
        """
        if self._percent is None:
            raise DatabaseUnavailableError(
                f"rollout {self._initial.name} was never read; its users cannot be routed"
            )
        return self._percent


async def follow_cloudflare(rollouts: RolloutRepository, share: Decimal) -> FollowedRollout:
    """Return the rollout to Cloudflare once it was read, or when the database took too long.

    Args:
        rollouts: The truth.
        share: What the setting says, 0 … 1; it counts only where nobody has begun the rollout.
    """
    rollout = FollowedRollout(rollouts, cloudflare_rollout(share))
    await until_there({"rollout": rollout.is_read})
    return rollout
