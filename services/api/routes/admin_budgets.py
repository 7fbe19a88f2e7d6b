"""Budgets, for admins."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from services.api.dependencies import BearerKey, BodyReader
from services.api.routes.answers import answer, body_of
from services.api.routes.parameters import BudgetScopePath
from services.api.schemas.money import BudgetList, BudgetView
from services.api.schemas.requests import BudgetBody
from services.api.use_cases.admin_budgets import AdminBudgets
from shared.domain.access import Caller


def create_router(*, budgets: AdminBudgets, key: BearerKey, bodies: BodyReader) -> APIRouter:
    """Return the routes over budgets; a scope reads `global`, `tier:free`, `user:U`, …."""
    router = APIRouter(prefix="/v1/admin/budgets", tags=["admin"])

    @router.get("", response_model=BudgetList, dependencies=[Depends(key)])
    async def list_budgets() -> Response:
        """List every budget with its window's money."""
        return answer(await budgets.all())

    @router.get("/{scope}", response_model=BudgetView, dependencies=[Depends(key)])
    async def get_budget(scope: BudgetScopePath) -> Response:
        """Read one budget."""
        return answer(await budgets.get(scope))

    @router.put("/{scope}", response_model=BudgetView, openapi_extra=body_of(BudgetBody))
    async def put_budget(
        request: Request, scope: BudgetScopePath, caller: Annotated[Caller, Depends(key)]
    ) -> Response:
        """Replace the whole budget; a raised limit frees waiting jobs at once."""
        body = await bodies.read(request, BudgetBody)
        return answer(await budgets.put(caller, scope, body))

    @router.delete("/{scope}", status_code=204)
    async def delete_budget(
        scope: BudgetScopePath, caller: Annotated[Caller, Depends(key)]
    ) -> None:
        """Remove a budget with its gates."""
        await budgets.delete(caller, scope)

    return router
