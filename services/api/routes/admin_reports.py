"""Usage, ledger and reconciliation, for admins."""

from datetime import date
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response

from services.api.dependencies import BearerKey
from services.api.routes.answers import answer
from services.api.routes.parameters import After, Limit
from services.api.schemas.money import LedgerPage, ReconciliationView, UsageList
from services.api.use_cases.admin_reports import AdminReports
from shared.domain.ids import AttemptId


def create_router(*, reports: AdminReports, key: BearerKey) -> APIRouter:
    """Return the routes over reports."""
    router = APIRouter(prefix="/v1/admin", tags=["admin"], dependencies=[Depends(key)])

    @router.get("/usage", response_model=UsageList)
    async def usage(
        group_by: Annotated[str, Query(max_length=200)] = "provider,model",
        first: Annotated[date | None, Query(alias="from")] = None,
        last: Annotated[date | None, Query(alias="to")] = None,
    ) -> Response:
        """Sum usage by comma-separated keys: user, provider, model, operation, tier, key, day."""
        return answer(await reports.usage(group_by, first, last))

    @router.get("/ledger", response_model=LedgerPage)
    async def ledger(after: After = None, limit: Limit = 100) -> Response:
        """Read the ledger in order of id."""
        return answer(await reports.ledger(None if after is None else AttemptId(after), limit))

    @router.get("/reconciliation", response_model=ReconciliationView)
    async def reconciliation() -> Response:
        """Compare attempts with the ledger now; `drift_usd` is "0" when all is well."""
        return answer(await reports.reconciliation())

    return router
