"""Health and metrics of this process; no key needed."""

from collections.abc import Mapping

from fastapi import APIRouter, Response

from services.api.routes.answers import raw_answer
from shared.observability.health import Check, failing, readiness
from shared.observability.metrics import CONTENT_TYPE, Metrics


def create_router(*, checks: Mapping[str, Check], metrics: Metrics) -> APIRouter:
    """Return `/healthz`, `/readyz` and `/metrics`."""
    router = APIRouter(tags=["operations"])

    @router.get("/healthz")
    async def healthz() -> Response:
        """Tell that the event loop turns; nothing else is asked."""
        return raw_answer(b'{"status":"alive"}')

    @router.get("/readyz", responses={503: {"description": "Something needed does not answer."}})
    async def readyz() -> Response:
        """Tell whether broker and database answer; 503 names what does not."""
        status, body = readiness(await failing(checks))
        return raw_answer(body, status)

    @router.get("/metrics")
    async def show_metrics() -> Response:
        """Show metrics in Prometheus' text format."""
        return Response(metrics.render(), media_type=CONTENT_TYPE)

    return router
