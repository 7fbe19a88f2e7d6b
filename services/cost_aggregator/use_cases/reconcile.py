"""Proves, round by round and every night, that attempts and ledger agree."""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal

import structlog

from shared.ports.clock import Clock
from shared.ports.reports import ReconciliationRepository, ReconciliationUpkeep

_SETTLED = timedelta(minutes=5)
"""Attempts older than that are compared once and for all, unless their event is missing."""
_log = structlog.stdlib.get_logger(__name__)


class Reconcile:
    """Of several aggregators one does a round's work; each night's result is kept once.

    Args:
        reconciliation: Compares.
        upkeep: Keeps comparing cheap.
        clock: Tells the nights apart, in UTC.
        show_drift: Told what no event on its way explains.
    """

    def __init__(
        self,
        reconciliation: ReconciliationRepository,
        upkeep: ReconciliationUpkeep,
        clock: Clock,
        show_drift: Callable[[Decimal], None],
    ) -> None:
        self._reconciliation = reconciliation
        self._upkeep = upkeep
        self._clock = clock
        self._show_drift = show_drift
        self._told = Decimal(0)

    async def __call__(self) -> None:
        """Move the watermark, compare, and keep the night's result if nobody has.

        Raises:
            DatabaseUnavailableError: Try again later.
        """
        now = self._clock.now()
        await self._upkeep.close_compared(now - _SETTLED)
        found = await self._reconciliation.compare()
        drift_usd = found.unexplained_usd
        self._show_drift(drift_usd)
        if drift_usd and drift_usd != self._told:
            _log.error(
                "ledger.drift",
                drift_usd=str(drift_usd),
                attempts_without_ledger=found.attempts_without_ledger,
                ledger_without_attempt=found.ledger_without_attempt,
            )
        self._told = drift_usd
        last = await self._reconciliation.last_run("nightly")
        if last is None or last.ran_at.date() < now.date():
            await self._reconciliation.keep("nightly", found, now)
            _log.info("ledger.reconciled", drift_usd=str(found.drift_usd))
