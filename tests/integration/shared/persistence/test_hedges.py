"""Two attempts of a job side by side: settled, lost and booked."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

from sqlalchemy.ext.asyncio import AsyncEngine

from services.cost_aggregator.use_cases.book_usage import BookUsage
from services.cost_aggregator.use_cases.sweep_leases import SweepLeases
from shared.domain.lost_work import LostJob
from shared.domain.views import HEDGE_LOST, ErrorView
from shared.messages.events import UsageRecorded
from shared.persistence.repositories.attempts import PostgresAttempts
from shared.persistence.repositories.budgets import PostgresBudgets
from shared.persistence.repositories.leases import PostgresLeases
from shared.persistence.repositories.ledger import PostgresLedger
from shared.persistence.repositories.reconciliation import PostgresReconciliation
from shared.system import RandomIds
from tests.support.chat_jobs import (
    COST,
    HOLD,
    NOW,
    WORKER,
    SetClock,
    change,
    claim_of,
    claimed,
    hedge_of,
    ledger_entry,
    rows,
    settlement_of,
)
from tests.support.fakes_of_operations import CountingHint
from tests.support.fakes_of_work import RecordingRelay
from tests.support.hedged_jobs import (
    both_attempts,
    cap,
    cap_state,
    first_attempt,
    lost,
    stream_of,
    view_of,
)


async def test_the_lost_call_lets_the_job_go_on_and_the_last_one_ends_it(
    engine: AsyncEngine,
) -> None:
    job, first, second = await both_attempts(engine)
    attempts = PostgresAttempts(engine)
    assert (await attempts.settle(lost(job, first))).applied
    assert await rows(engine, "SELECT status, lease_owner, cost_usd FROM jobs") == [
        ("running", WORKER, COST)
    ]
    won = replace(settlement_of(job, second), failures=0)
    assert (await attempts.settle(won)).applied
    view = await view_of(engine, job)
    assert (view.status, view.cost_usd) == ("succeeded", COST * 2)
    assert view.cost_usd == sum(one.cost_usd for one in view.attempts)
    assert [(one.outcome, one.error) for one in view.attempts] == [
        ("failed", ErrorView(HEDGE_LOST, "another candidate answered first")),
        ("succeeded", None),
    ]
    assert await rows(engine, "SELECT failure_count FROM jobs") == [(0,)]


async def test_the_answer_is_the_winners(engine: AsyncEngine) -> None:
    """Whichever of the two began first, and whichever was settled first."""
    await cap(engine)
    job, first = await first_attempt(engine)
    second = replace(hedge_of(first), model="other", is_fallback=True)
    await claimed(engine, second)
    attempts = PostgresAttempts(engine)
    await attempts.settle(lost(job, second))
    await attempts.settle(settlement_of(job, first))
    view = await view_of(engine, job)
    assert (view.model, view.is_fallback) == ("model", False)


async def test_while_two_run_nobody_knows_whose_text_comes(engine: AsyncEngine) -> None:
    job, first, second = await both_attempts(engine)
    attempts = PostgresAttempts(engine)
    assert (await stream_of(engine, job)).attempt_number == 0
    await attempts.settle(lost(job, second))
    assert (await stream_of(engine, job)).attempt_number == 1
    await attempts.checkpoint(job.id, first.attempt_id, 1, "Hel")
    state = await stream_of(engine, job)
    assert (state.attempt_number, state.text) == (1, "Hel")


async def test_a_second_that_goes_on_alone_is_whose_text_comes(engine: AsyncEngine) -> None:
    job, first, _ = await both_attempts(engine)
    await PostgresAttempts(engine).settle(lost(job, first))
    assert (await stream_of(engine, job)).attempt_number == 2


async def _sweep(engine: AsyncEngine) -> RecordingRelay:
    await change(engine, "UPDATE jobs SET lease_until = now() - interval '1 s'")
    relay = RecordingRelay()
    clock = SetClock(NOW + timedelta(seconds=5))
    assert await SweepLeases(PostgresLeases(engine), relay, clock, RandomIds())() == 1
    return relay


async def test_both_calls_of_a_dead_worker_are_charged_the_hedge_also_to_the_cap(
    engine: AsyncEngine,
) -> None:
    job, first, second = await both_attempts(engine)
    relay = await _sweep(engine)
    assert await rows(engine, "SELECT DISTINCT outcome, assumed, cost_usd FROM attempts") == [
        ("unknown", True, HOLD)
    ]
    assert await rows(engine, "SELECT status, cost_usd, failure_count FROM jobs") == [
        ("queued", HOLD * 2, 1)
    ]
    events = [
        UsageRecorded.model_validate_json(row.message.body)
        for row in relay.rows
        if row.message.exchange == "events"
    ]
    assert {event.attempt_id: event.is_hedge for event in events} == {
        first.attempt_id: None,
        second.attempt_id: True,
    }
    await BookUsage(PostgresLedger(engine, SetClock()), CountingHint())(events)
    state = await cap_state(engine)
    assert (state.spent_usd, state.held_usd) == (HOLD, Decimal(0))
    assert not (await PostgresAttempts(engine).settle(settlement_of(job, first))).applied
    assert (await claimed(engine, claim_of(job, "worker-2"))).number == 3


async def test_a_call_that_goes_on_alone_is_charged_when_its_worker_dies(
    engine: AsyncEngine,
) -> None:
    job, first, second = await both_attempts(engine)
    await PostgresAttempts(engine).settle(lost(job, first))
    await _sweep(engine)
    assert await rows(engine, "SELECT id, outcome, cost_usd FROM attempts ORDER BY number") == [
        (first.attempt_id, "failed", COST),
        (second.attempt_id, "unknown", HOLD),
    ]
    assert await rows(engine, "SELECT cost_usd, failure_count FROM jobs") == [(HOLD + COST, 1)]


async def test_a_job_whose_second_call_was_claimed_meanwhile_is_left_alone(
    engine: AsyncEngine,
) -> None:
    """The claim extends the lease, so that the sweeper's look at one call is out of date."""
    await cap(engine)
    _, first = await first_attempt(engine)
    await change(engine, "UPDATE jobs SET lease_until = now() - interval '1 s'")
    leases = PostgresLeases(engine)
    (found,) = await leases.expired(10)
    await claimed(engine, hedge_of(first))
    relay = RecordingRelay()

    class Outdated(PostgresLeases):
        async def expired(self, limit: int) -> Sequence[LostJob]:
            del limit
            return [found]

    await SweepLeases(Outdated(engine), relay, SetClock(), RandomIds())()
    assert relay.rows == []
    assert await rows(engine, "SELECT DISTINCT outcome FROM attempts") == [("running",)]


async def test_what_hedges_hold_is_accounted_for(engine: AsyncEngine) -> None:
    await both_attempts(engine)
    reconciliation = PostgresReconciliation(engine, SetClock())
    assert (await reconciliation.compare()).holds_without_attempts_usd == 0
    await change(engine, "UPDATE budgets SET held_usd = 0 WHERE scope = 'hedge:paid'")
    assert (await reconciliation.compare()).holds_without_attempts_usd == HOLD


async def test_a_cap_is_listed_among_the_budgets_and_fires_nothing(engine: AsyncEngine) -> None:
    job, _, second = await both_attempts(engine)
    booked = await PostgresLedger(engine, SetClock()).book([ledger_entry(job, second)])
    assert not booked.alerts
    assert not booked.gates_moved
    listed = [str(one.budget.scope) for one in await PostgresBudgets(engine, SetClock()).all()]
    assert "hedge:paid" in listed
