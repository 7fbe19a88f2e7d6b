"""Whether attempts and ledger agree, asked by ops."""

import structlog

from services.api.schemas.money import ReconciliationView, reconciliation_view
from shared.ports.clock import Clock
from shared.ports.reports import ReconciliationRepository

_log = structlog.stdlib.get_logger(__name__)


class Reconciling:
    """Compares on demand."""

    def __init__(self, reconciliation: ReconciliationRepository, clock: Clock) -> None:
        self._reconciliation = reconciliation
        self._clock = clock

    async def compare(self, *, full: bool) -> ReconciliationView:
        """Return whether attempts and ledger agree now; `full` reads everything anew."""
        found = await self._reconciliation.compare(full=full)
        return reconciliation_view(found, await self._reconciliation.last_run())

    async def run(self, *, full: bool) -> ReconciliationView:
        """Compare and keep what was found."""
        found = await self._reconciliation.compare(full=full)
        await self._reconciliation.keep("on_demand", found, self._clock.now())
        if found.unexplained_usd:
            _log.error("ledger.drift", drift_usd=str(found.unexplained_usd))
        return reconciliation_view(found, await self._reconciliation.last_run())
