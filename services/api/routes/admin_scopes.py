"""Gates of scopes and the audit trail, for admins."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from services.api.dependencies import BearerKey, BodyReader
from services.api.routes.answers import answer, body_of
from services.api.routes.gate_verbs import STATE_BY_VERB, GateVerb
from services.api.routes.parameters import AfterNumber, BudgetScopePath, Limit
from services.api.schemas.gates import AuditPage, ScopeGateList
from services.api.schemas.requests import ScopeGateBody
from services.api.use_cases.admin_audit import AdminAudit
from services.api.use_cases.admin_scopes import AdminScopes
from shared.domain.access import Caller


def create_router(
    *, scopes: AdminScopes, audit: AdminAudit, key: BearerKey, bodies: BodyReader
) -> APIRouter:
    """Return the routes over scopes' gates; a scope reads `tier:free`, `user:U`, `key:K`, …."""
    router = APIRouter(prefix="/v1/admin", tags=["admin"])

    @router.get("/scopes", response_model=ScopeGateList, dependencies=[Depends(key)])
    async def list_scopes() -> Response:
        """List the gates that hold one scope's work up, or divert it."""
        return answer(await scopes.all())

    @router.post(
        "/scopes/{scope}/{verb}",
        response_model=ScopeGateList,
        openapi_extra=body_of(ScopeGateBody, required=False),
    )
    async def move_scope(
        request: Request,
        scope: BudgetScopePath,
        verb: GateVerb,
        caller: Annotated[Caller, Depends(key)],
    ) -> Response:
        """Move a scope's gates; everybody else's work goes on."""
        body = await bodies.read(request, ScopeGateBody, empty=b"{}")
        return answer(await scopes.move(caller, scope, STATE_BY_VERB[verb], body))

    @router.get("/audit", response_model=AuditPage, dependencies=[Depends(key)])
    async def read_audit(after: AfterNumber = 0, limit: Limit = 100) -> Response:
        """Read every change of gates, budgets and rollouts, oldest first."""
        return answer(await audit.page(after, limit))

    return router
