"""Reconciliation and invoices, for admins."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from pydantic import JsonValue

from services.api.dependencies import BearerKey, BodyReader
from services.api.routes.answers import answer
from services.api.schemas.invoices import InvoiceList, InvoiceView
from services.api.schemas.money import ReconciliationView
from services.api.use_cases.invoicing import Invoicing
from services.api.use_cases.reconciling import Reconciling
from shared.domain.access import Caller
from shared.domain.catalog import Provider

InvoiceIdPath = Annotated[str, Path(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
_CSV: JsonValue = {"text/csv": {"schema": {"type": "string"}}}
Full = Annotated[bool, Query(description="Read everything anew: takes as long as the ledger is.")]


def create_router(
    *, reconciling: Reconciling, invoicing: Invoicing, key: BearerKey, bodies: BodyReader
) -> APIRouter:
    """Return the routes over reconciliation."""
    router = APIRouter(prefix="/v1/admin/reconciliation", tags=["admin"])
    _add_invoices(router, invoicing, key, bodies)

    @router.get("", response_model=ReconciliationView, dependencies=[Depends(key)])
    async def compare(*, full: Full = False) -> Response:
        """Compare attempts with the ledger now; `drift_usd` is "0" when all is well."""
        return answer(await reconciling.compare(full=full))

    @router.post("", response_model=ReconciliationView, dependencies=[Depends(key)])
    async def run(*, full: Full = False) -> Response:
        """Compare and keep the result, as the nightly run does."""
        return answer(await reconciling.run(full=full))

    return router


def _add_invoices(
    router: APIRouter, invoicing: Invoicing, key: BearerKey, bodies: BodyReader
) -> None:
    @router.post(
        "/invoices",
        status_code=201,
        response_model=InvoiceView,
        openapi_extra={"requestBody": {"required": True, "content": _CSV}},
    )
    async def import_invoice(
        request: Request, provider: Provider, caller: Annotated[Caller, Depends(key)]
    ) -> Response:
        """Compare a provider's invoice (CSV) with the ledger; nothing is booked yet."""
        content = await bodies.content(request)
        return answer(await invoicing.import_csv(caller, provider, content), 201)

    @router.get("/invoices", response_model=InvoiceList, dependencies=[Depends(key)])
    async def list_invoices() -> Response:
        """List the newest invoices."""
        return answer(await invoicing.recent())

    @router.get("/invoices/{invoice_id}", response_model=InvoiceView, dependencies=[Depends(key)])
    async def get_invoice(invoice_id: InvoiceIdPath) -> Response:
        """Read an invoice with its adjustments."""
        return answer(await invoicing.get(invoice_id))

    @router.post("/invoices/{invoice_id}/confirm", response_model=InvoiceView)
    async def confirm_invoice(
        invoice_id: InvoiceIdPath, caller: Annotated[Caller, Depends(key)]
    ) -> Response:
        """Book the adjustments as corrections; safe to repeat."""
        return answer(await invoicing.confirm(caller, invoice_id))
