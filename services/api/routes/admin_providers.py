"""Providers and their models, for admins."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Response

from services.api.dependencies import BearerKey
from services.api.routes.answers import answer
from services.api.routes.parameters import NamePath
from services.api.schemas.providers import ModelCheckView, ProviderList
from services.api.use_cases.admin_providers import AdminProviders
from shared.domain.access import Caller

CheckId = Annotated[int, Path(ge=1, le=2**63 - 1)]


def create_router(*, providers: AdminProviders, key: BearerKey) -> APIRouter:
    """Return the routes over providers."""
    router = APIRouter(prefix="/v1/admin/providers", tags=["admin"])

    @router.get("", response_model=ProviderList, dependencies=[Depends(key)])
    async def list_providers() -> Response:
        """List the providers that routes lead to, with their models and when those end."""
        return answer(await providers.all())

    @router.post("/{name}/reset", status_code=204)
    async def reset_circuits(name: NamePath, caller: Annotated[Caller, Depends(key)]) -> Response:
        """Close a provider's circuits and end its cooldowns."""
        await providers.reset(caller, name)
        return Response(status_code=204)

    @router.post("/check", status_code=202, response_model=ModelCheckView)
    async def check_models(caller: Annotated[Caller, Depends(key)]) -> Response:
        """Let a worker hold the routed models against the providers' lists now."""
        return answer(await providers.demand_check(caller), 202)

    @router.get("/checks/{check_id}", response_model=ModelCheckView, dependencies=[Depends(key)])
    async def show_check(check_id: CheckId) -> Response:
        """Show whether a check has finished."""
        return answer(await providers.check(check_id))

    return router
