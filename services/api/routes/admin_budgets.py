"""Budgets, for admins."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response

from services.api.dependencies import BearerKey, BodyReader
from services.api.routes.answers import answer, body_of
from services.api.routes.parameters import NO_NUL, BudgetScopePath
from services.api.schemas.money import BudgetList, BudgetView
from services.api.schemas.requests import BudgetBody
from services.api.use_cases.admin_budgets import AdminBudgets
from shared.domain.access import Caller
from shared.domain.budgets import Window


def create_router(*, budgets: AdminBudgets, key: BearerKey, bodies: BodyReader) -> APIRouter:
    """Return the routes over budgets; a scope reads `global`, `tier:free`, `user:U`, …."""
    router = APIRouter(prefix="/v1/admin/budgets", tags=["admin"])

    @router.get("", response_model=BudgetList, dependencies=[Depends(key)])
    async def list_budgets() -> Response:
        """List every budget with its window's money."""
        return answer(await budgets.all())

    @router.get("/{scope}", response_model=BudgetView, dependencies=[Depends(key)])
    async def get_budget(scope: BudgetScopePath, window: Window | None = None) -> Response:
        """Read one budget; of a scope with two windows and without `window`, the last one set."""
        return answer(await budgets.get(scope, window))

    @router.put("/{scope}", response_model=BudgetView, openapi_extra=body_of(BudgetBody))
    async def put_budget(
        request: Request, scope: BudgetScopePath, caller: Annotated[Caller, Depends(key)]
    ) -> Response:
        """Replace the scope's budget of a window; a raised limit frees waiting jobs at once."""
        body = await bodies.read(request, BudgetBody)
        return answer(await budgets.put(caller, scope, body))

    @router.delete("/{scope}", status_code=204)
    async def delete_budget(
        scope: BudgetScopePath,
        caller: Annotated[Caller, Depends(key)],
        window: Window | None = None,
        reason: Annotated[str, Query(max_length=1_000, pattern=NO_NUL)] = "",
    ) -> None:
        """Remove the budget of a window, or without `window` all of the scope's."""
        await budgets.delete(caller, scope, window, reason)

    return router
