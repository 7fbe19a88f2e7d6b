"""Usage, ledger and reports, for admins; as JSON, as CSV, or as a table."""

from datetime import date
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import PlainTextResponse

from services.api.dependencies import BearerKey
from services.api.routes.answers import answer
from services.api.routes.csv_answers import csv_answer, wants_csv
from services.api.routes.parameters import After, Limit
from services.api.schemas.money import LedgerPage, LedgerRow, UsageList, UsageView
from services.api.schemas.reports import Period, PeriodReport
from services.api.use_cases.admin_reports import AdminReports, usage_keys
from services.api.use_cases.period_reports import PeriodReports
from services.api.use_cases.report_table import report_table
from shared.domain.ids import AttemptId, JobId, UserId
from shared.ports.reports import LedgerFilter

DataFormat = Annotated[Literal["json", "csv"] | None, Query(alias="format")]
PageFormat = Annotated[Literal["json", "text"] | None, Query(alias="format")]
Name = Annotated[str | None, Query(min_length=1, max_length=200)]


def create_router(
    *, reports: AdminReports, period_reports: PeriodReports, key: BearerKey
) -> APIRouter:
    """Return the routes over reports."""
    router = APIRouter(prefix="/v1/admin", tags=["admin"], dependencies=[Depends(key)])
    _add_usage(router, reports)
    _add_ledger(router, reports)

    @router.get("/reports/{period}", response_model=PeriodReport)
    async def report(
        request: Request,
        period: Period,
        day: Annotated[date | None, Query(alias="date")] = None,
        form: PageFormat = None,
    ) -> Response:
        """Report the day, week or month around a date: costs, rates, latencies and savings."""
        found = await period_reports.report(period, day)
        accepted = request.headers.get("accept", "")
        if form == "text" or (form is None and accepted.startswith("text/plain")):
            return PlainTextResponse(report_table(found))
        return answer(found)

    return router


def _ledger_filter(user: Name = None, job: Name = None, day: date | None = None) -> LedgerFilter:
    return LedgerFilter(UserId(user) if user else None, JobId(job) if job else None, day)


def _add_usage(router: APIRouter, reports: AdminReports) -> None:
    @router.get("/usage", response_model=UsageList)
    async def usage(
        request: Request,
        group_by: Annotated[str, Query(max_length=200)] = "provider,model",
        first: Annotated[date | None, Query(alias="from")] = None,
        last: Annotated[date | None, Query(alias="to")] = None,
        form: DataFormat = None,
    ) -> Response:
        """Sum usage by comma-separated keys: user provider model operation tier key arm day."""
        if not wants_csv(request, form):
            return answer(await reports.usage(group_by, first, last))
        columns = [*usage_keys(group_by, first, last), *UsageView.model_fields]
        return await csv_answer("usage", columns, reports.usage_rows(group_by, first, last))


def _add_ledger(router: APIRouter, reports: AdminReports) -> None:
    @router.get("/ledger", response_model=LedgerPage)
    async def ledger(
        request: Request,
        after: After = None,
        limit: Limit = 100,
        *,
        wanted: Annotated[LedgerFilter, Depends(_ledger_filter)],
        form: DataFormat = None,
    ) -> Response:
        """Read the ledger in order of id, corrections last; as CSV, all of it after `after`."""
        since = None if after is None else AttemptId(after)
        if not wants_csv(request, form):
            return answer(await reports.ledger(since, limit, wanted))
        columns = [*LedgerRow.model_fields]
        return await csv_answer("ledger", columns, reports.ledger_rows(since, wanted))
