"""Keeps the ledger's partitions some months ahead."""

import structlog

from shared.ports.clock import Clock
from shared.ports.reports import ReconciliationUpkeep

_log = structlog.stdlib.get_logger(__name__)


class MakeMonths:
    """Safe to run anywhere at any time: what is there is left alone."""

    def __init__(self, upkeep: ReconciliationUpkeep, clock: Clock) -> None:
        self._upkeep = upkeep
        self._clock = clock

    async def __call__(self) -> None:
        """Make what is missing.

        Raises:
            DatabaseUnavailableError: Try again later.
        """
        for name in await self._upkeep.make_months(self._clock.now()):
            _log.info("ledger.month_made", partition=name)
