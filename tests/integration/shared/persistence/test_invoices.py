from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

from sqlalchemy.ext.asyncio import AsyncEngine

from shared.domain.adjustments import compare
from shared.domain.catalog import CLOUDFLARE, OPENAI, Operation, Tier
from shared.domain.invoices import InvoiceLine
from shared.domain.ledger import LedgerEntry
from shared.persistence.repositories.invoices import PostgresInvoices
from shared.persistence.repositories.ledger import PostgresLedger
from shared.ports.invoices import Confirmed, Invoice, LedgerMoved
from tests.support.chat_jobs import COST, HOLD, NOW, SetClock, ledger_entry, rows

_DAY = NOW.date()
_MODEL = "model"


async def _book(engine: AsyncEngine, *entries: LedgerEntry) -> None:
    await PostgresLedger(engine, SetClock()).book(entries)


def _assumed() -> LedgerEntry:
    return replace(ledger_entry(), assumed=True, cost_usd=HOLD, list_cost_usd=HOLD)


async def _imported(
    engine: AsyncEngine, usd: Decimal, name: str = "inv_1"
) -> tuple[PostgresInvoices, Invoice]:
    repository = PostgresInvoices(engine, SetClock())
    sums = await repository.ledger_sums(CLOUDFLARE, _DAY, _DAY, at_list_price=False)
    days = compare([InvoiceLine(_DAY, _MODEL, usd)], sums)
    invoice = Invoice(
        id=name,
        provider=CLOUDFLARE,
        sha256="ab",
        at_list_price=False,
        imported_by="ann",
        imported_at=NOW,
        confirmed_by=None,
        confirmed_at=None,
        days=days,
    )
    await repository.add(invoice)
    return repository, invoice


async def _ledger_usd(engine: AsyncEngine) -> Sequence[tuple[object, ...]]:
    return await rows(
        engine,
        "SELECT (SELECT sum(cost_usd) FROM ledger_entries), (SELECT sum(cost_usd) FROM"
        " usage_rollups), (SELECT spent_usd FROM budgets WHERE scope = 'global')",
    )


async def test_an_invoice_is_a_proposal_first(engine: AsyncEngine) -> None:
    await _book(engine, ledger_entry(), _assumed())
    repository, invoice = await _imported(engine, COST)
    assert await repository.get("inv_1") == invoice
    assert await repository.get("inv_2") is None
    (only,) = await repository.adjustments(invoice)
    assert only.cost_usd == -HOLD
    assert await _ledger_usd(engine) == [(COST + HOLD,) * 3]


async def test_a_confirmation_books_corrections_once(engine: AsyncEngine) -> None:
    entry = _assumed()
    await _book(engine, ledger_entry(), entry)
    repository, _ = await _imported(engine, COST)
    outcomes = [await repository.confirm("inv_1", "bob") for _ in range(2)]
    assert [one.booked.entries for one in outcomes if isinstance(one, Confirmed)] == [1, 0]
    confirmed = await repository.get("inv_1")
    assert confirmed is not None
    assert (confirmed.confirmed_by, confirmed.confirmed_at) == ("bob", NOW)
    (booked,) = await repository.adjustments(confirmed)
    assert (booked.corrects, booked.cost_usd) == (entry.id, -HOLD)
    assert await _ledger_usd(engine) == [(COST,) * 3]


async def test_the_same_invoice_again_finds_no_difference(engine: AsyncEngine) -> None:
    await _book(engine, ledger_entry(), _assumed())
    repository, _ = await _imported(engine, COST)
    await repository.confirm("inv_1", "bob")
    _, again = await _imported(engine, COST, "inv_2")
    assert [one.difference_usd for one in again.days] == [0]
    assert await repository.adjustments(again) == []


async def test_a_ledger_that_moved_must_be_compared_again(engine: AsyncEngine) -> None:
    await _book(engine, ledger_entry())
    repository, _ = await _imported(engine, COST * 2)
    await _book(engine, ledger_entry())
    assert await repository.confirm("inv_1", "bob") == LedgerMoved()
    assert await _ledger_usd(engine) == [(COST * 2,) * 3]
    assert await repository.confirm("inv_none", "bob") is None


async def test_of_two_proposals_for_a_day_one_is_booked(engine: AsyncEngine) -> None:
    await _book(engine, ledger_entry())
    repository, _ = await _imported(engine, COST * 2)
    await _imported(engine, COST * 2, "inv_2")
    assert isinstance(await repository.confirm("inv_1", "bob"), Confirmed)
    assert await repository.confirm("inv_2", "bob") == LedgerMoved()
    assert [one.id for one in await repository.recent(9)] == ["inv_1", "inv_2"]


async def test_sums_name_the_tier_that_cost_most(engine: AsyncEngine) -> None:
    small = replace(ledger_entry(), tier=Tier.FREE, operation=Operation.EMBED)
    large = replace(ledger_entry(), tier=Tier.PREMIUM, cost_usd=Decimal(1))
    other_day = ledger_entry(occurred_at=NOW - timedelta(days=1))
    openai = replace(ledger_entry(), provider=OPENAI)
    await _book(engine, small, large, other_day, openai)
    sums = await PostgresInvoices(engine, SetClock()).ledger_sums(
        CLOUDFLARE, _DAY, _DAY, at_list_price=False
    )
    (one,) = sums.values()
    assert (one.cost_usd, one.tier, one.operation) == (COST + 1, Tier.PREMIUM, Operation.CHAT)


async def test_neurons_are_compared_with_list_costs(engine: AsyncEngine) -> None:
    await _book(engine, replace(ledger_entry(), list_cost_usd=Decimal(7)))
    sums = await PostgresInvoices(engine, SetClock()).ledger_sums(
        CLOUDFLARE, _DAY, _DAY, at_list_price=True
    )
    assert [one.cost_usd for one in sums.values()] == [7]
