"""Rollouts, for admins."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from services.api.dependencies import BearerKey, BodyReader
from services.api.routes.answers import answer, body_of
from services.api.routes.parameters import NamePath
from services.api.schemas.requests import RolloutBody
from services.api.schemas.rollouts import RolloutComparison, RolloutList, RolloutView
from services.api.use_cases.admin_rollouts import AdminRollouts
from shared.domain.access import Caller


def create_router(*, rollouts: AdminRollouts, key: BearerKey, bodies: BodyReader) -> APIRouter:
    """Return the routes over rollouts."""
    router = APIRouter(prefix="/v1/admin/rollouts", tags=["admin"])

    @router.get("", response_model=RolloutList, dependencies=[Depends(key)])
    async def list_rollouts() -> Response:
        """List every rollout."""
        return answer(await rollouts.all())

    @router.get("/{name}", response_model=RolloutComparison, dependencies=[Depends(key)])
    async def get_rollout(name: NamePath) -> Response:
        """Read a rollout, and what each of its arms came to yesterday and today."""
        return answer(await rollouts.get(name))

    @router.put("/{name}", response_model=RolloutView, openapi_extra=body_of(RolloutBody))
    async def put_rollout(
        request: Request, name: NamePath, caller: Annotated[Caller, Depends(key)]
    ) -> Response:
        """Move a rollout: workers follow within two seconds, and raising it moves nobody out."""
        body = await bodies.read(request, RolloutBody)
        return answer(await rollouts.put(caller, name, body))

    return router
