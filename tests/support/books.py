"""The proof that nothing was lost and nothing counted twice, whatever happened to a stack.

What providers bill and what the ledger says may differ by one thing only: calls whose worker died,
or whose answer was lost on its way, are on the books at the most that they may have cost
(`assumed`), and nobody knows whether, or how far, they were made.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from tests.support.stack_client import StackClient
from tests.support.stacks import RunningStack
from tests.support.waiting import wait_until

_SETTLING_SECONDS = 40.0
_UNSETTLED = """
    SELECT (SELECT count(*) FROM jobs WHERE status IN ('queued', 'running'))
        + (SELECT count(*) FROM outbox)
        + (SELECT count(*) FROM attempts WHERE outcome = 'running')
        + (SELECT count(*) FROM attempts a
            WHERE NOT EXISTS (SELECT FROM ledger_entries l WHERE l.id = a.id))
"""
_ATTEMPTS = """
    SELECT id, job_id, outcome, provider_request_id, cost_usd, assumed FROM attempts ORDER BY id
"""


@dataclass(frozen=True, slots=True)
class AttemptRow:
    """One attempt as the database has it."""

    id: str
    job_id: str
    outcome: str
    request_id: str | None
    cost_usd: Decimal
    is_assumed: bool


@dataclass(frozen=True, slots=True)
class Books:
    """A stack's books once everything has settled.

    Attributes:
        billed_unknown_usd: The billed calls whose answer nobody has seen.
    """

    attempts: Sequence[AttemptRow]
    ledger_usd: Decimal
    billed_usd: Decimal
    assumed_usd: Decimal
    billed_unknown_usd: Sequence[Decimal]

    def outcomes(self, job_id: str) -> list[str]:
        """Return how the attempts of a job ended, in their order."""
        return [one.outcome for one in self.attempts if one.job_id == job_id]

    def __str__(self) -> str:
        """Sum the books up in one line."""
        unknown = sum(one.is_assumed for one in self.attempts)
        return (
            f"{len(self.attempts)} attempts, ledger ${self.ledger_usd} = bill ${self.billed_usd} "
            f"+ {unknown} assumed ${self.assumed_usd} "
            f"- {len(self.billed_unknown_usd)} billed of those ${sum(self.billed_unknown_usd)}"
        )


async def balanced_books(stack: RunningStack, client: StackClient, jobs: Sequence[str]) -> Books:
    """Wait until everything has settled, and prove the books.

    Args:
        stack: All of whose attempts and calls are compared.
        client: Of that stack.
        jobs: Whose deliveries are counted.
    """

    def is_settled() -> bool:
        return stack.rows(_UNSETTLED) == [(0,)]

    await wait_until(is_settled, _SETTLING_SECONDS)
    books = await _read(stack, client)
    await _prove_ledger(client, books)
    _prove_bill(books)
    _prove_deliveries(stack, jobs)
    return books


async def _read(stack: RunningStack, client: StackClient) -> Books:
    attempts = [
        AttemptRow(
            str(id_),
            str(job_id),
            str(outcome),
            None if request_id is None else str(request_id),
            Decimal(str(cost)),
            bool(is_assumed),
        )
        for id_, job_id, outcome, request_id, cost, is_assumed in stack.rows(_ATTEMPTS)
    ]
    bill = await client.bill()
    billed = {row.request_id: Decimal(row.cost_usd) for row in bill.data}
    assert len(billed) == len(bill.data)
    known = {one.request_id for one in attempts if not one.is_assumed}
    for one in attempts:
        if one.outcome == "succeeded":
            assert one.cost_usd == billed[one.request_id or ""], one
        elif not one.is_assumed:
            assert one.cost_usd == billed.get(one.request_id or "", 0), one
    return Books(
        attempts=attempts,
        ledger_usd=sum(
            (row.cost_usd for row in await client.ledger() if row.corrects is None), Decimal(0)
        ),
        billed_usd=Decimal(bill.total_usd),
        assumed_usd=sum((a.cost_usd for a in attempts if a.is_assumed), Decimal(0)),
        billed_unknown_usd=[cost for request, cost in billed.items() if request not in known],
    )


async def _prove_ledger(client: StackClient, books: Books) -> None:
    """Each attempt has one entry at its cost, rollups and budgets agree, and no hold is left."""
    rows = await client.ledger()
    corrections_usd = sum((row.cost_usd for row in rows if row.corrects), Decimal(0))
    ledger = [row for row in rows if row.corrects is None]
    assert sorted(row.id for row in ledger) == [one.id for one in books.attempts]
    assert {row.id: row.cost_usd for row in ledger} == {a.id: a.cost_usd for a in books.attempts}
    unknown = {one.id for one in books.attempts if one.is_assumed}
    assert {row.id for row in ledger if row.assumed} == unknown
    found = await client.reconciliation()
    assert found.attempts_without_ledger == found.ledger_without_attempt == 0
    assert found.duplicate_entries == found.open_holds == found.expired_holds == 0
    assert found.drift_usd == found.holds_without_attempts_usd == 0
    assert found.corrections.cost_usd == corrections_usd
    assert (found.assumed.count, found.assumed.cost_usd) == (len(unknown), books.assumed_usd)
    usage = (await client.usage("provider")).data
    assert sum(row.requests for row in usage) == len(ledger)
    assert sum(row.cost_usd for row in usage) == books.ledger_usd + corrections_usd
    budget = await client.budget("global")
    today_usd = sum(row.cost_usd for row in rows if row.occurred_at >= budget.window_start)
    assert (budget.held_usd, budget.spent_usd) == (Decimal(0), today_usd)


async def corrected_books(client: StackClient) -> Decimal:
    """Book the bill as the providers' invoices, and prove that ledger minus bill is then nothing.

    Only calls of dead workers are corrected: the list of assumed entries explains everything.

    Returns:
        The sum of ledger and bill.
    """
    assumed = {row.id for row in await client.ledger() if row.assumed}
    bill = await client.bill()
    for provider in sorted({row.provider for row in bill.data}):
        lines = [
            f"{row.at.date()},{row.model},{row.cost_usd}"
            for row in bill.data
            if row.provider == provider
        ]
        invoice = await client.import_invoice(provider, "\n".join(["date,model,cost", *lines]))
        assert {one.corrects for one in invoice.adjustments} <= assumed, invoice
        confirmed = await client.confirm_invoice(invoice.id)
        assert confirmed.adjustments == invoice.adjustments
    ledger_usd = sum((row.cost_usd for row in await client.ledger()), Decimal(0))
    assert ledger_usd - Decimal(bill.total_usd) == 0
    assert (await client.reconciliation()).drift_usd == 0
    return ledger_usd


def _prove_bill(books: Books) -> None:
    """Explain ledger minus bill to the last digit, by the calls whose answers were lost."""
    lost = [one.cost_usd for one in books.attempts if one.is_assumed]
    assert len(books.billed_unknown_usd) <= len(lost), str(books)
    # What is assumed is the worst case: the dearest call fits into the largest, and so on down.
    pairs = zip(
        sorted(books.billed_unknown_usd, reverse=True), sorted(lost, reverse=True), strict=False
    )
    assert all(billed <= hold for billed, hold in pairs), str(books)
    explained = books.assumed_usd - sum(books.billed_unknown_usd)
    assert books.ledger_usd - books.billed_usd == explained, str(books)


def _prove_deliveries(stack: RunningStack, jobs: Sequence[str]) -> None:
    """Each job's end was delivered once."""
    delivered = stack.rows("SELECT job_id, count(*) FROM deliveries GROUP BY job_id")
    counts = {str(job_id): count for job_id, count in delivered}
    assert {job: counts.get(job) for job in jobs} == dict.fromkeys(jobs, 1)
