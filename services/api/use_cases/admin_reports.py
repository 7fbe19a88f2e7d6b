"""Usage and ledger for ops, as answers and as endless rows."""

import asyncio
from collections.abc import AsyncIterator
from datetime import date

from services.api.schemas.money import (
    LedgerPage,
    LedgerRow,
    UsageList,
    UsageView,
    ledger_page,
    ledger_row,
    usage_list,
    usage_view,
)
from services.api.use_cases.refusals import invalid
from shared.domain.ids import AttemptId
from shared.ports.reports import LedgerFilter, Reports

GROUP_KEYS = ("user", "provider", "model", "operation", "tier", "key", "arm", "day")
_PAGE = 1000
_EXPORTS = 2
"""Usage exports at a time: each holds a connection to the database until it is read."""


class AdminReports:
    """Reads only."""

    def __init__(self, reports: Reports) -> None:
        self._reports = reports
        self._exports = asyncio.Semaphore(_EXPORTS)

    async def usage(self, group_by: str, first: date | None, last: date | None) -> UsageList:
        """Return sums by comma-separated keys, over whole days in UTC, both included.

        Raises:
            RefusedError: A key is unknown or comes twice, or the days are the wrong way round.
        """
        keys = usage_keys(group_by, first, last)
        return usage_list(await self._reports.usage(keys, first, last))

    async def usage_rows(
        self, group_by: str, first: date | None, last: date | None
    ) -> AsyncIterator[UsageView]:
        """Give the same row by row, in constant memory.

        Raises:
            RefusedError: As `usage`.
        """
        keys = usage_keys(group_by, first, last)
        async with self._exports:
            async for row in self._reports.usage_rows(keys, first, last):
                yield usage_view(row)

    async def ledger(self, after: AttemptId | None, limit: int, wanted: LedgerFilter) -> LedgerPage:
        """Return ledger lines in order of id."""
        return ledger_page(await self._reports.ledger_page(after, limit + 1, wanted), limit)

    async def ledger_rows(
        self, after: AttemptId | None, wanted: LedgerFilter
    ) -> AsyncIterator[LedgerRow]:
        """Give every ledger line after one, page by page."""
        while True:
            entries = await self._reports.ledger_page(after, _PAGE, wanted)
            for entry in entries:
                yield ledger_row(entry)
            if len(entries) < _PAGE:
                return
            after = entries[-1].id


def usage_keys(group_by: str, first: date | None, last: date | None) -> list[str]:
    """Return the keys to group by.

    Raises:
        RefusedError: A key is unknown or comes twice, or the days are the wrong way round.
    """
    keys = [key.strip() for key in group_by.split(",") if key.strip()]
    if not keys or len(set(keys)) < len(keys) or any(key not in GROUP_KEYS for key in keys):
        raise invalid("group_by", f"name one or more of {','.join(GROUP_KEYS)}, each once")
    if first is not None and last is not None and first > last:
        raise invalid("from", "from lies after to")
    return keys
