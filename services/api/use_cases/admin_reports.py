"""Usage, ledger and reconciliation for ops."""

from datetime import date

from services.api.schemas.money import (
    LedgerPage,
    ReconciliationView,
    UsageList,
    ledger_page,
    reconciliation_view,
    usage_list,
)
from services.api.use_cases.refusals import invalid
from shared.domain.ids import AttemptId
from shared.ports.money import Reports

GROUP_KEYS = ("user", "provider", "model", "operation", "tier", "key", "day")


class AdminReports:
    """Reads only."""

    def __init__(self, reports: Reports) -> None:
        self._reports = reports

    async def usage(self, group_by: str, first: date | None, last: date | None) -> UsageList:
        """Return sums by comma-separated keys, over whole days in UTC, both included.

        Raises:
            RefusedError: A key is unknown or comes twice, or the days are the wrong way round.
        """
        keys = [key.strip() for key in group_by.split(",") if key.strip()]
        if not keys or len(set(keys)) < len(keys) or any(key not in GROUP_KEYS for key in keys):
            raise invalid("group_by", f"name one or more of {','.join(GROUP_KEYS)}, each once")
        if first is not None and last is not None and first > last:
            raise invalid("from", "from lies after to")
        return usage_list(await self._reports.usage(keys, first, last))

    async def ledger(self, after: AttemptId | None, limit: int) -> LedgerPage:
        """Return ledger lines in order of id."""
        return ledger_page(await self._reports.ledger_page(after, limit + 1), limit)

    async def reconciliation(self) -> ReconciliationView:
        """Return whether attempts and ledger agree now."""
        return reconciliation_view(await self._reports.reconciliation())
