"""Alerts, for admins."""

from typing import Annotated

from fastapi import APIRouter, Depends, Response

from services.api.dependencies import BearerKey
from services.api.routes.answers import answer
from services.api.routes.parameters import AfterNumber, Limit
from services.api.schemas.alerts import AlertPage, AlertView
from services.api.use_cases.admin_alerts import AdminAlerts
from shared.domain.access import Caller


def create_router(*, alerts: AdminAlerts, key: BearerKey) -> APIRouter:
    """Return the routes over alerts."""
    router = APIRouter(prefix="/v1/admin/alerts", tags=["admin"])

    @router.get("", response_model=AlertPage, dependencies=[Depends(key)])
    async def list_alerts(after: AfterNumber = 0, limit: Limit = 100) -> Response:
        """List alerts, oldest first, with what became of them on each channel."""
        return answer(await alerts.page(after, limit))

    @router.post("/test", response_model=AlertView)
    async def test_channels(caller: Annotated[Caller, Depends(key)]) -> Response:
        """Send a test message through every channel, and report on each."""
        return answer(await alerts.test(caller))

    return router
