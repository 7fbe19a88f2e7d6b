"""Second attempts: claimed beside the first, and only under the cap of what they may cost."""

from dataclasses import replace
from decimal import Decimal

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.domain.budgets import Budget, BudgetScope, Window
from shared.domain.catalog import Tier
from shared.domain.claims import Claimed, NoRoom, Unclaimable
from shared.domain.jobs import AttemptOutcome
from shared.domain.work import JobContinues
from shared.persistence.repositories.attempts import PostgresAttempts
from shared.persistence.repositories.budgets import PostgresBudgets
from shared.persistence.repositories.hedge_caps import PostgresHedgeCaps
from shared.persistence.repositories.ledger import PostgresLedger
from tests.support.chat_jobs import (
    COST,
    HOLD,
    NOW,
    WORKER,
    SetClock,
    claim_of,
    claimed,
    further,
    hedge_of,
    ledger_entry,
    rows,
    settlement_of,
    submitted,
)
from tests.support.hedged_jobs import (
    HEDGES,
    both_attempts,
    cap,
    cap_state,
    first_attempt,
    lost,
    view_of,
)

_TOMORROW = Window.DAY.end(NOW)


async def test_a_hedge_is_claimed_beside_the_first_attempt(engine: AsyncEngine) -> None:
    await cap(engine)
    job, first = await first_attempt(engine)
    claim = await claimed(engine, hedge_of(first))
    assert (claim.number, claim.cost_so_far_usd, claim.failures_so_far) == (2, Decimal(0), 0)
    view = await view_of(engine, job)
    assert [(one.outcome, one.is_hedge) for one in view.attempts] == [
        (AttemptOutcome.RUNNING, False),
        (AttemptOutcome.RUNNING, True),
    ]


async def test_a_hedge_repeated_after_its_commit_changes_nothing(engine: AsyncEngine) -> None:
    await cap(engine)
    _, first = await first_attempt(engine)
    second = hedge_of(first)
    assert await claimed(engine, second) == await claimed(engine, second)
    assert (await cap_state(engine)).held_usd == HOLD
    assert await rows(engine, "SELECT count(*) FROM attempts") == [(2,)]


async def test_there_is_no_second_hedge(engine: AsyncEngine) -> None:
    _, first, _ = await both_attempts(engine)
    assert await PostgresAttempts(engine).claim(hedge_of(first)) is Unclaimable.LEASED


@pytest.mark.parametrize("worker", [WORKER, "worker-2"])
async def test_a_job_with_two_attempts_is_nobody_elses(engine: AsyncEngine, worker: str) -> None:
    """As when its command is delivered again."""
    _, first, _ = await both_attempts(engine)
    again = replace(further(first), worker=worker)
    assert await PostgresAttempts(engine).claim(again) is Unclaimable.LEASED


async def test_a_hedge_of_another_worker_is_refused(engine: AsyncEngine) -> None:
    await cap(engine)
    _, first = await first_attempt(engine)
    other = replace(hedge_of(first), worker="worker-2")
    assert await PostgresAttempts(engine).claim(other) is Unclaimable.LEASED


async def test_a_hedge_beside_nothing_is_refused(engine: AsyncEngine) -> None:
    """The first was settled meanwhile, or its worker was thought dead."""
    await cap(engine)
    attempts = PostgresAttempts(engine)
    queued = await submitted(engine)
    assert await attempts.claim(hedge_of(claim_of(queued))) is Unclaimable.LEASED
    job, first = await first_attempt(engine)
    await attempts.settle(settlement_of(job, first, JobContinues()))
    assert await attempts.claim(hedge_of(first)) is Unclaimable.LEASED
    done, its_first = await first_attempt(engine)
    await attempts.settle(settlement_of(done, its_first))
    assert await attempts.claim(hedge_of(its_first)) is Unclaimable.DONE
    assert (await cap_state(engine)).held_usd == 0


async def test_without_a_cap_there_is_no_hedge(engine: AsyncEngine) -> None:
    _, first = await first_attempt(engine)
    attempts = PostgresAttempts(engine)
    assert await attempts.claim(hedge_of(first)) is Unclaimable.LEASED
    await PostgresHedgeCaps(engine, SetClock()).keep({Tier.PREMIUM: Decimal(1)})
    assert await attempts.claim(hedge_of(first)) is Unclaimable.LEASED
    await cap(engine)
    uncounted = replace(hedge_of(first), scopes=first.scopes)
    assert await attempts.claim(uncounted) is Unclaimable.LEASED
    assert isinstance(await attempts.claim(hedge_of(first)), Claimed)


async def test_a_hedge_that_the_cap_has_no_room_for_is_refused(engine: AsyncEngine) -> None:
    await cap(engine, HOLD)
    attempts = PostgresAttempts(engine)
    _, first = await first_attempt(engine)
    _, other = await first_attempt(engine)
    assert isinstance(await attempts.claim(hedge_of(first)), Claimed)
    refused = await attempts.claim(hedge_of(other))
    assert isinstance(refused, NoRoom)
    assert refused.scope == str(HEDGES)
    assert await rows(engine, "SELECT count(*) FROM attempts WHERE is_hedge") == [(1,)]


async def test_a_hedge_needs_room_in_every_other_budget_too(engine: AsyncEngine) -> None:
    await cap(engine)
    budget = Budget(BudgetScope.parse("global"), Window.DAY, HOLD)
    await PostgresBudgets(engine, SetClock()).put(budget, "test")
    _, first = await first_attempt(engine)
    refused = await PostgresAttempts(engine).claim(hedge_of(first))
    assert isinstance(refused, NoRoom)
    assert refused.scope == "global"
    assert (await cap_state(engine)).held_usd == 0


async def test_the_cap_begins_anew_each_day(engine: AsyncEngine) -> None:
    job, _, second = await both_attempts(engine, HOLD)
    await PostgresAttempts(engine).settle(lost(job, second, HOLD))
    await PostgresLedger(engine, SetClock()).book([ledger_entry(job, second, cost_usd=HOLD)])
    _, today = await first_attempt(engine)
    attempts = PostgresAttempts(engine)
    assert await attempts.claim(hedge_of(today)) == NoRoom(str(HEDGES), _TOMORROW)
    assert isinstance(await attempts.claim(replace(hedge_of(today), now=_TOMORROW)), Claimed)


async def test_only_hedges_count_towards_the_cap(engine: AsyncEngine) -> None:
    job, first, second = await both_attempts(engine)
    assert (await cap_state(engine)).held_usd == HOLD
    ledger = PostgresLedger(engine, SetClock())
    await ledger.book([ledger_entry(job, first, cost_usd=HOLD)])
    assert (await cap_state(engine)).spent_usd == 0
    await ledger.book([ledger_entry(job, second)])
    state = await cap_state(engine)
    assert (state.spent_usd, state.held_usd) == (COST, Decimal(0))


async def test_a_cap_that_is_changed_keeps_what_was_spent(engine: AsyncEngine) -> None:
    job, _, second = await both_attempts(engine)
    await PostgresLedger(engine, SetClock()).book([ledger_entry(job, second)])
    await cap(engine, Decimal(7))
    await PostgresHedgeCaps(engine, SetClock()).keep({})
    state = await cap_state(engine)
    assert (state.budget.limit_usd, state.spent_usd) == (Decimal(7), COST)
