"""Reports over a day, a week or a month."""

from datetime import date, timedelta
from typing import assert_never

from services.api.schemas.reports import Period, PeriodReport, PeriodSums, period_sums, savings
from shared.ports.clock import Clock
from shared.ports.reports import NO_USAGE_ROW, Reports

_USERS_SHOWN = 1000


class PeriodReports:
    """Reads rollups only: a report costs the same however many entries the ledger has."""

    def __init__(self, reports: Reports, clock: Clock) -> None:
        self._reports = reports
        self._clock = clock

    async def report(self, period: Period, day: date | None) -> PeriodReport:
        """Return the report of the period that contains a day; today's by default (UTC)."""
        first, last = span(period, day or self._clock.now().date())
        total = await self._reports.usage([], first, last)
        users = await self._reports.usage(["user", "provider"], first, last)
        dearest = sorted(users, key=lambda row: row.cost_usd, reverse=True)[:_USERS_SHOWN]
        return PeriodReport(
            period=period,
            first=first,
            last=last,
            total=period_sums(total[0] if total else NO_USAGE_ROW),
            savings=savings(total),
            providers=await self._by("provider", first, last),
            days=await self._by("day", first, last),
            users=[period_sums(row) for row in dearest],
            users_left_out=len(users) - len(dearest),
        )

    async def _by(self, key: str, first: date, last: date) -> list[PeriodSums]:
        return [period_sums(row) for row in await self._reports.usage([key], first, last)]


def span(period: Period, day: date) -> tuple[date, date]:
    """Return the first and last day of the period around a day; weeks begin on Mondays."""
    match period:
        case "daily":
            return day, day
        case "weekly":
            monday = day - timedelta(days=day.weekday())
            return monday, monday + timedelta(days=6)
        case "monthly":
            next_month = (day.replace(day=1) + timedelta(days=31)).replace(day=1)
            return day.replace(day=1), next_month - timedelta(days=1)
        case _:
            assert_never(period)
