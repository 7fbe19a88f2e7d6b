"""Invoices, compared with the rollups and booked with everything that follows from a booking."""

from collections.abc import Mapping, Sequence
from datetime import date

from sqlalchemy import RowMapping, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from shared.domain.adjustments import (
    AssumedEntry,
    LedgerSum,
    ModelDay,
    adjustments,
    correction_prefix,
)
from shared.domain.catalog import Operation, Provider, Tier
from shared.domain.ledger import LedgerEntry
from shared.persistence.arrays import Batch
from shared.persistence.connections import statement, transaction
from shared.persistence.repositories.ledger import NO_REFERENCE, book_within
from shared.persistence.repositories.ledger_pages import ledger_entry
from shared.ports.clock import Clock
from shared.ports.invoices import Confirmed, Invoice, LedgerMoved
from shared.ports.money import Booked

_SUMS = text("""
    SELECT day, model,
        sum(CASE WHEN :at_list_price THEN list_cost_usd ELSE cost_usd END) AS cost_usd,
        (array_agg(tier ORDER BY cost_usd DESC, tier))[1] AS tier,
        (array_agg(operation ORDER BY cost_usd DESC, operation))[1] AS operation
    FROM usage_rollups WHERE day >= :first AND day <= :last AND provider = :provider
    GROUP BY day, model
""")
_ASSUMED = text("""
    SELECT l.*, l.cost_usd + coalesce(c.cost_usd, 0) AS left_usd
    FROM ledger_entries l LEFT JOIN LATERAL (
        SELECT sum(cost_usd) AS cost_usd FROM ledger_entries WHERE corrects = l.id
    ) c ON true
    WHERE l.assumed AND l.provider = :provider
        AND CAST(l.occurred_at AT TIME ZONE 'UTC' AS date) BETWEEN :first AND :last
    ORDER BY l.id
""")
_ADD = text("""
    INSERT INTO invoices (id, provider, sha256, at_list_price, imported_by, imported_at)
    VALUES (:id, :provider, :sha256, :at_list_price, :imported_by, :imported_at)
""")
_LINE = Batch(day="date", model="text", invoice_usd="numeric", ledger_usd="numeric")
_ADD_LINES = text(f"""
    INSERT INTO invoice_lines (invoice_id, day, model, invoice_usd, ledger_usd)
    SELECT :id, day, model, invoice_usd, ledger_usd FROM {_LINE.table("l")}
""")  # noqa: S608 - only our own column lists are put in
_GET = text("SELECT * FROM invoices WHERE id = :id")
_LOCK = text("SELECT * FROM invoices WHERE id = :id FOR UPDATE")
_LINES = text("SELECT * FROM invoice_lines WHERE invoice_id = :id ORDER BY day, model")
_RECENT = text("SELECT * FROM invoices ORDER BY imported_at DESC, id LIMIT :limit")
_CONFIRM = text("""
    UPDATE invoices SET confirmed_by = :by, confirmed_at = :now WHERE id = :id RETURNING *
""")
_BOOKED = text("SELECT * FROM ledger_entries WHERE id >= :first AND id < :last ORDER BY id")
# Every booking changes the sums by day: none comes between the comparison and its entries.
_HOLD_STILL = text("LOCK TABLE ledger_days IN SHARE ROW EXCLUSIVE MODE")


class PostgresInvoices:
    """Implements `InvoiceRepository`."""

    def __init__(self, engine: AsyncEngine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock

    async def ledger_sums(
        self, provider: Provider, first: date, last: date, *, at_list_price: bool
    ) -> Mapping[tuple[date, str], LedgerSum]:
        """Return what a provider's models cost by day, corrections included."""
        async with statement(self._engine) as connection:
            return await _sums(connection, provider, (first, last), at_list_price=at_list_price)

    async def add(self, invoice: Invoice) -> None:
        """Store a new invoice with its comparison."""
        lines = [(d.day, d.model, d.invoice_usd, d.ledger_usd) for d in invoice.days]
        parameters = {
            "id": invoice.id,
            "provider": invoice.provider,
            "sha256": invoice.sha256,
            "at_list_price": invoice.at_list_price,
            "imported_by": invoice.imported_by,
            "imported_at": invoice.imported_at,
        }
        async with transaction(self._engine) as connection:
            await connection.execute(_ADD, parameters)
            await connection.execute(_ADD_LINES, {"id": invoice.id, **_LINE.literals(lines)})

    async def get(self, invoice_id: str) -> Invoice | None:
        """Return an invoice."""
        async with statement(self._engine) as connection:
            rows = await connection.execute(_GET, {"id": invoice_id})
            row = rows.mappings().one_or_none()
            return None if row is None else _invoice(row, await _days(connection, invoice_id))

    async def recent(self, limit: int) -> Sequence[Invoice]:
        """Return the newest invoices first, without their days."""
        async with statement(self._engine) as connection:
            rows = await connection.execute(_RECENT, {"limit": limit})
            return [_invoice(row, ()) for row in rows.mappings()]

    async def adjustments(self, invoice: Invoice) -> Sequence[LedgerEntry]:
        """Return what was booked for a confirmed invoice, or what its confirmation would book."""
        async with statement(self._engine) as connection:
            if invoice.confirmed_at is None:
                return await _proposed(connection, invoice)
            prefix = correction_prefix(invoice.id)
            rows = await connection.execute(_BOOKED, {"first": prefix, "last": f"{prefix}~"})
            return [ledger_entry(row) for row in rows.mappings()]

    async def confirm(self, invoice_id: str, by: str) -> Confirmed | LedgerMoved | None:
        """Book an invoice's adjustments and mark it confirmed, in one commit; None if unknown."""
        now = self._clock.now()
        async with transaction(self._engine) as connection:
            rows = await connection.execute(_LOCK, {"id": invoice_id})
            row = rows.mappings().one_or_none()
            if row is None:
                return None
            invoice = _invoice(row, await _days(connection, invoice_id))
            if invoice.confirmed_at is not None:
                return Confirmed(invoice, Booked(0, (), gates_moved=False))
            await connection.execute(_HOLD_STILL)
            if await _has_moved(connection, invoice):
                return LedgerMoved()
            entries = await _proposed(connection, invoice)
            booked = await book_within(connection, entries, NO_REFERENCE, now)
            rows = await connection.execute(_CONFIRM, {"id": invoice_id, "by": by, "now": now})
            return Confirmed(_invoice(rows.mappings().one(), invoice.days), booked)


async def _has_moved(connection: AsyncConnection, invoice: Invoice) -> bool:
    sums = await _sums_of(connection, invoice)
    known = {(d.day, d.model): d.ledger_usd for d in invoice.days if d.ledger_usd}
    return known != {key: one.cost_usd for key, one in sums.items() if one.cost_usd}


async def _proposed(connection: AsyncConnection, invoice: Invoice) -> Sequence[LedgerEntry]:
    first, last = _span(invoice)
    rows = await connection.execute(
        _ASSUMED, {"provider": invoice.provider, "first": first, "last": last}
    )
    assumed = [AssumedEntry(ledger_entry(row), row["left_usd"]) for row in rows.mappings()]
    sums = await _sums_of(connection, invoice)
    return adjustments(invoice.id, invoice.provider, invoice.days, sums, assumed)


async def _sums_of(
    connection: AsyncConnection, invoice: Invoice
) -> Mapping[tuple[date, str], LedgerSum]:
    return await _sums(
        connection, invoice.provider, _span(invoice), at_list_price=invoice.at_list_price
    )


def _span(invoice: Invoice) -> tuple[date, date]:
    days = [one.day for one in invoice.days]
    return min(days), max(days)


async def _sums(
    connection: AsyncConnection,
    provider: Provider,
    span: tuple[date, date],
    *,
    at_list_price: bool,
) -> Mapping[tuple[date, str], LedgerSum]:
    rows = await connection.execute(
        _SUMS,
        {
            "provider": provider,
            "first": span[0],
            "last": span[1],
            "at_list_price": at_list_price,
        },
    )
    return {
        (row["day"], row["model"]): LedgerSum(
            row["cost_usd"], Tier(row["tier"]), Operation(row["operation"])
        )
        for row in rows.mappings()
    }


async def _days(connection: AsyncConnection, invoice_id: str) -> Sequence[ModelDay]:
    rows = await connection.execute(_LINES, {"id": invoice_id})
    return [
        ModelDay(row["day"], row["model"], row["invoice_usd"], row["ledger_usd"])
        for row in rows.mappings()
    ]


def _invoice(row: RowMapping, days: Sequence[ModelDay]) -> Invoice:
    return Invoice(
        id=row["id"],
        provider=Provider(row["provider"]),
        sha256=row["sha256"],
        at_list_price=row["at_list_price"],
        imported_by=row["imported_by"],
        imported_at=row["imported_at"],
        confirmed_by=row["confirmed_by"],
        confirmed_at=row["confirmed_at"],
        days=days,
    )
