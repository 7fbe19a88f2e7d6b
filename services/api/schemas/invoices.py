"""Provider invoices held against the ledger."""

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal

from pydantic import BaseModel

from shared.domain.ledger import LedgerEntry
from shared.messages.frames import Usd
from shared.ports.invoices import Invoice


class InvoiceDay(BaseModel):
    """One model's day on both sides; the difference is what the invoice wants beyond the ledger."""

    day: date
    model: str
    invoice_usd: Usd
    ledger_usd: Usd
    difference_usd: Usd


class Adjustment(BaseModel):
    """An entry that closes a difference; `corrects` names an entry, or a model's day."""

    id: str
    corrects: str
    user_id: str
    model: str
    cost_usd: Usd
    occurred_at: datetime


class InvoiceView(BaseModel):
    """An invoice: a proposal until it is confirmed, and then booked."""

    id: str
    provider: str
    status: str
    sha256: str
    at_list_price: bool
    imported_by: str
    imported_at: datetime
    confirmed_by: str | None
    confirmed_at: datetime | None
    invoice_usd: Usd
    ledger_usd: Usd
    difference_usd: Usd
    days: list[InvoiceDay]
    adjustments: list[Adjustment]


class InvoiceSummary(BaseModel):
    """An invoice in a list."""

    id: str
    provider: str
    status: str
    imported_by: str
    imported_at: datetime
    confirmed_by: str | None
    confirmed_at: datetime | None


class InvoiceList(BaseModel):
    """Invoices, newest first."""

    data: list[InvoiceSummary]


def invoice_view(invoice: Invoice, adjustments: Sequence[LedgerEntry]) -> InvoiceView:
    """Return an invoice's body."""
    invoice_usd = sum((one.invoice_usd for one in invoice.days), Decimal(0))
    ledger_usd = sum((one.ledger_usd for one in invoice.days), Decimal(0))
    return InvoiceView(
        **invoice_summary(invoice).model_dump(),
        sha256=invoice.sha256,
        at_list_price=invoice.at_list_price,
        invoice_usd=invoice_usd,
        ledger_usd=ledger_usd,
        difference_usd=invoice_usd - ledger_usd,
        days=[
            InvoiceDay(
                day=one.day,
                model=one.model,
                invoice_usd=one.invoice_usd,
                ledger_usd=one.ledger_usd,
                difference_usd=one.difference_usd,
            )
            for one in invoice.days
        ],
        adjustments=[_adjustment(entry) for entry in adjustments],
    )


def invoice_summary(invoice: Invoice) -> InvoiceSummary:
    """Return an invoice's line in a list."""
    return InvoiceSummary(
        id=invoice.id,
        provider=invoice.provider,
        status="proposed" if invoice.confirmed_at is None else "confirmed",
        imported_by=invoice.imported_by,
        imported_at=invoice.imported_at,
        confirmed_by=invoice.confirmed_by,
        confirmed_at=invoice.confirmed_at,
    )


def _adjustment(entry: LedgerEntry) -> Adjustment:
    return Adjustment(
        id=entry.id,
        corrects=entry.corrects or "",
        user_id=entry.user_id,
        model=entry.model,
        cost_usd=entry.cost_usd,
        occurred_at=entry.occurred_at,
    )
