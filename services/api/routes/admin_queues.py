"""Queues and their gates, for admins."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from services.api.dependencies import BearerKey, BodyReader
from services.api.routes.answers import answer, body_of
from services.api.routes.gate_verbs import STATE_BY_VERB, GateVerb
from services.api.routes.parameters import QueuePath
from services.api.schemas.admin import QueueBody, QueueList
from services.api.schemas.requests import GateBody
from services.api.use_cases.admin_queues import AdminQueues
from shared.domain.access import Caller


def create_router(*, queues: AdminQueues, key: BearerKey, bodies: BodyReader) -> APIRouter:
    """Return the routes over queues."""
    router = APIRouter(prefix="/v1/admin/queues", tags=["admin"])

    @router.get("", response_model=QueueList, dependencies=[Depends(key)])
    async def list_queues() -> Response:
        """List every work queue with its gate, its workers and what waits."""
        return answer(await queues.overview())

    @router.post(
        "/{name}/{verb}",
        response_model=QueueBody,
        openapi_extra=body_of(GateBody, required=False),
    )
    async def move_gate(
        request: Request, name: QueuePath, verb: GateVerb, caller: Annotated[Caller, Depends(key)]
    ) -> Response:
        """Move a gate; what a person shuts only a person (or `until`) opens."""
        body = await bodies.read(request, GateBody, empty=b"{}")
        return answer(await queues.move(caller, name, STATE_BY_VERB[verb], body))

    return router
