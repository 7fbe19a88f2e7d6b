"""Imported invoices, and the entries that they lead to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Protocol

from shared.domain.adjustments import LedgerSum, ModelDay
from shared.domain.catalog import Provider
from shared.domain.ledger import LedgerEntry
from shared.ports.money import Booked


@dataclass(frozen=True, slots=True)
class Invoice:
    """An invoice held against the ledger.

    Attributes:
        sha256: Of the file, in hexadecimal.
        at_list_price: Whether list costs were compared, as nothing free was taken off.
        confirmed_by: None while its adjustments are a proposal.
        days: Both sides as they were at the import.
    """

    id: str
    provider: Provider
    sha256: str
    at_list_price: bool
    imported_by: str
    imported_at: datetime
    confirmed_by: str | None
    confirmed_at: datetime | None
    days: Sequence[ModelDay]


@dataclass(frozen=True, slots=True)
class Confirmed:
    """The invoice's adjustments are booked; a repeat finds them there."""

    invoice: Invoice
    booked: Booked


@dataclass(frozen=True, slots=True)
class LedgerMoved:
    """Nothing was booked: the ledger is not any more what the invoice was compared with."""


class InvoiceRepository(Protocol):
    """Keeps invoices and books what they lead to."""

    async def ledger_sums(
        self, provider: Provider, first: date, last: date, *, at_list_price: bool
    ) -> Mapping[tuple[date, str], LedgerSum]:
        """Return what a provider's models cost by day, corrections included."""
        ...

    async def add(self, invoice: Invoice) -> None:
        """Store a new invoice with its comparison."""
        ...

    async def get(self, invoice_id: str) -> Invoice | None:
        """Return an invoice."""
        ...

    async def recent(self, limit: int) -> Sequence[Invoice]:
        """Return the newest invoices first, without their days."""
        ...

    async def adjustments(self, invoice: Invoice) -> Sequence[LedgerEntry]:
        """Return what was booked for a confirmed invoice, or what its confirmation would book."""
        ...

    async def confirm(self, invoice_id: str, by: str) -> Confirmed | LedgerMoved | None:
        """Book an invoice's adjustments and mark it confirmed, in one commit; None if unknown.

        Idempotent by invoice.
        """
        ...
