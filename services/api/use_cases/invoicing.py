"""Holds the ledger against providers' invoices: import, look, confirm."""

from hashlib import sha256
from typing import assert_never

import structlog

from services.api.schemas.invoices import InvoiceList, InvoiceView, invoice_summary, invoice_view
from services.api.use_cases.refusals import RefusalCode, RefusedError, invalid, not_found
from shared.domain.access import Caller
from shared.domain.adjustments import compare
from shared.domain.catalog import Provider
from shared.domain.errors import InvoiceError
from shared.domain.invoices import read_invoice
from shared.ports.clock import Clock, Ids
from shared.ports.invoices import Confirmed, Invoice, InvoiceRepository, LedgerMoved
from shared.ports.messaging import ControlHint

_SHOWN = 100
_log = structlog.stdlib.get_logger(__name__)


class Invoicing:
    """Nothing is booked before a confirmation; who imported and who confirmed is kept."""

    def __init__(
        self, invoices: InvoiceRepository, hint: ControlHint, ids: Ids, clock: Clock
    ) -> None:
        self._invoices = invoices
        self._hint = hint
        self._ids = ids
        self._clock = clock

    async def import_csv(self, caller: Caller, provider: Provider, content: bytes) -> InvoiceView:
        """Compare an invoice with the ledger and propose adjustments.

        Raises:
            RefusedError: The file cannot be read; the message names the line.
        """
        try:
            file = read_invoice(provider, content.decode())
        except InvoiceError as error:
            raise invalid("file", str(error)) from error
        except UnicodeDecodeError as error:
            line = content.count(b"\n", 0, error.start) + 1
            raise invalid("file", f"line {line}: this is not UTF-8") from error
        sums = await self._invoices.ledger_sums(
            provider,
            file.lines[0].day,
            file.lines[-1].day,
            at_list_price=file.at_list_price,
        )
        invoice = Invoice(
            id=self._ids.new("inv"),
            provider=provider,
            sha256=sha256(content).hexdigest(),
            at_list_price=file.at_list_price,
            imported_by=caller.key_id,
            imported_at=self._clock.now(),
            confirmed_by=None,
            confirmed_at=None,
            days=compare(file.lines, sums),
        )
        await self._invoices.add(invoice)
        _log.info("invoice.imported", invoice_id=invoice.id, by=caller.key_id, provider=provider)
        return await self._view(invoice)

    async def recent(self) -> InvoiceList:
        """Return the newest invoices."""
        return InvoiceList(
            data=[invoice_summary(one) for one in await self._invoices.recent(_SHOWN)]
        )

    async def get(self, invoice_id: str) -> InvoiceView:
        """Return an invoice with its adjustments.

        Raises:
            RefusedError: There is none.
        """
        invoice = await self._invoices.get(invoice_id)
        if invoice is None:
            raise not_found("invoice", invoice_id)
        return await self._view(invoice)

    async def confirm(self, caller: Caller, invoice_id: str) -> InvoiceView:
        """Book an invoice's adjustments; idempotent by invoice.

        Raises:
            RefusedError: There is none, or the ledger has moved since the import.
        """
        outcome = await self._invoices.confirm(invoice_id, caller.key_id)
        match outcome:
            case None:
                raise not_found("invoice", invoice_id)
            case LedgerMoved():
                raise RefusedError(
                    RefusalCode.LEDGER_MOVED,
                    f"the ledger has changed since {invoice_id} was compared; import it again",
                )
            case Confirmed(invoice, booked):
                for alert in booked.alerts:
                    _log.warning("budget.alert", alert=alert)
                if booked.gates_moved:
                    await self._hint.send()
                _log.info(
                    "invoice.confirmed",
                    invoice_id=invoice.id,
                    by=caller.key_id,
                    entries=booked.entries,
                )
                return await self._view(invoice)
            case _:
                assert_never(outcome)

    async def _view(self, invoice: Invoice) -> InvoiceView:
        return invoice_view(invoice, await self._invoices.adjustments(invoice))
