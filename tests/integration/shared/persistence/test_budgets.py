import asyncio
from datetime import timedelta
from decimal import Decimal

from sqlalchemy.ext.asyncio import AsyncEngine

from shared.domain.budgets import (
    DEFAULT_GLOBAL_BUDGET,
    GLOBAL_SCOPE,
    Budget,
    BudgetScope,
    Threshold,
    ThresholdAction,
    Window,
)
from shared.domain.claims import NoRoom
from shared.domain.gates import EMBED_BULK, GateState
from shared.domain.work import JobContinues
from shared.persistence.repositories.attempts import PostgresAttempts
from shared.persistence.repositories.budgets import PostgresBudgets
from shared.persistence.repositories.gates import PostgresGates
from shared.persistence.repositories.ledger import PostgresLedger
from tests.support.chat_jobs import (
    COST,
    HOLD,
    NOW,
    SetClock,
    change,
    claim_of,
    claimed,
    ledger_entry,
    rows,
    settlement_of,
    submitted,
)

_USER_SCOPE = BudgetScope.parse("user:user-1")


def _budgets(engine: AsyncEngine) -> PostgresBudgets:
    return PostgresBudgets(engine, SetClock())


def _pausing(at_usd: Decimal) -> Budget:
    threshold = Threshold(at_usd, ThresholdAction.PAUSE, (EMBED_BULK,))
    return Budget(GLOBAL_SCOPE, Window.DAY, None, (threshold,))


async def _bulk(engine: AsyncEngine) -> GateState:
    return (await PostgresGates(engine).desired([EMBED_BULK]))[EMBED_BULK].desired


async def test_a_new_database_has_the_default_budget(engine: AsyncEngine) -> None:
    state = await _budgets(engine).get(GLOBAL_SCOPE)
    assert state is not None
    assert state.budget == DEFAULT_GLOBAL_BUDGET
    assert state.spent_usd == state.held_usd == 0


async def test_a_budget_is_replaced_as_a_whole(engine: AsyncEngine) -> None:
    budgets = _budgets(engine)
    first = Budget(_USER_SCOPE, Window.DAY, Decimal("1.50"), _pausing(COST).thresholds)
    second = Budget(_USER_SCOPE, Window.DAY)
    assert (await budgets.put(first, "ann")).budget == first
    assert (await budgets.put(second, "ann")).budget == second
    assert [state.budget for state in await budgets.all()] == [DEFAULT_GLOBAL_BUDGET, second]


async def test_an_unknown_budget_is_none(engine: AsyncEngine) -> None:
    assert await _budgets(engine).get(_USER_SCOPE) is None
    assert not await _budgets(engine).delete(_USER_SCOPE, "ann")


async def test_what_was_spent_before_counts_in_a_new_budget(engine: AsyncEngine) -> None:
    await PostgresLedger(engine, SetClock()).book([ledger_entry(), ledger_entry()])
    for scope in ("user:user-1", "key:key-1", "tier:paid", "provider:cloudflare"):
        state = await _budgets(engine).put(Budget(BudgetScope.parse(scope), Window.DAY), "ann")
        assert (scope, state.spent_usd) == (scope, COST * 2)
    others = await _budgets(engine).put(Budget(BudgetScope.parse("user:u2"), Window.DAY), "ann")
    assert others.spent_usd == 0


async def test_what_was_spent_is_counted_in_utc(engine: AsyncEngine) -> None:
    await change(engine, "ALTER ROLE CURRENT_USER SET timezone = 'America/New_York'")
    try:
        await engine.dispose()
        yesterday = ledger_entry(occurred_at=NOW - timedelta(days=1))
        await PostgresLedger(engine, SetClock()).book([yesterday, ledger_entry()])
        state = await _budgets(engine).put(Budget(_USER_SCOPE, Window.DAY), "ann")
    finally:
        await change(engine, "ALTER ROLE CURRENT_USER RESET timezone")
    assert state.spent_usd == COST


async def test_calls_under_way_count_in_a_new_budget(engine: AsyncEngine) -> None:
    await claimed(engine, claim_of(await submitted(engine)))
    state = await _budgets(engine).put(Budget(_USER_SCOPE, Window.DAY), "ann")
    assert state.held_usd == HOLD


async def test_a_call_that_is_not_booked_yet_still_holds(engine: AsyncEngine) -> None:
    """Its event will release the hold: were it not counted, another call's would be released."""
    job, running = await submitted(engine), await submitted(engine)
    request = claim_of(job)
    await claimed(engine, request)
    await claimed(engine, claim_of(running))
    await PostgresAttempts(engine).settle(settlement_of(job, request, JobContinues()))
    budgets = _budgets(engine)
    await budgets.put(Budget(_USER_SCOPE, Window.DAY), "ann")
    await PostgresLedger(engine, SetClock()).book([ledger_entry(job, request)])
    state = await budgets.get(_USER_SCOPE)
    assert state is not None
    assert (state.spent_usd, state.held_usd) == (COST, HOLD)


async def test_a_budget_made_amid_work_misses_nothing(
    engine: AsyncEngine, second_engine: AsyncEngine
) -> None:
    attempts, ledger = PostgresAttempts(engine), PostgresLedger(engine, SetClock())

    async def work() -> None:
        job = await submitted(engine)
        request = claim_of(job)
        await attempts.claim(request)
        await attempts.settle(settlement_of(job, request))
        await ledger.book([ledger_entry(job, request)])

    budgets = _budgets(second_engine)
    async with asyncio.TaskGroup() as group:
        for position in range(60):
            group.create_task(work())
            if position % 10 == 5:
                group.create_task(budgets.put(Budget(_USER_SCOPE, Window.DAY), "ann"))
    state = await budgets.get(_USER_SCOPE)
    assert state is not None
    assert (state.spent_usd, state.held_usd) == (COST * 60, Decimal(0))


async def test_a_raised_threshold_opens_its_gates_at_once(engine: AsyncEngine) -> None:
    budgets = _budgets(engine)
    await budgets.put(_pausing(COST), "ann")
    await PostgresLedger(engine, SetClock()).book([ledger_entry()])
    assert await _bulk(engine) is GateState.PAUSED
    await budgets.put(_pausing(COST * 2), "ann")
    assert await _bulk(engine) is GateState.RUNNING


async def test_a_threshold_below_what_is_spent_fires_at_once(engine: AsyncEngine) -> None:
    await PostgresLedger(engine, SetClock()).book([ledger_entry()])
    await _budgets(engine).put(_pausing(COST), "ann")
    assert await _bulk(engine) is GateState.PAUSED
    assert await rows(engine, "SELECT threshold FROM alerts") == [("0.004:pause",)]


async def test_a_threshold_that_stands_does_not_fire_again(engine: AsyncEngine) -> None:
    budgets, ledger = _budgets(engine), PostgresLedger(engine, SetClock())
    await budgets.put(_pausing(COST), "ann")
    await ledger.book([ledger_entry()])
    await budgets.put(_pausing(COST), "ann")
    assert (await ledger.book([ledger_entry()])).alerts == []
    assert len(await rows(engine, "SELECT * FROM alerts")) == 1


async def test_a_deleted_budget_leaves_its_gates_open(engine: AsyncEngine) -> None:
    budgets = _budgets(engine)
    await budgets.put(_pausing(COST), "ann")
    await PostgresLedger(engine, SetClock()).book([ledger_entry()])
    assert await budgets.delete(GLOBAL_SCOPE, "ann")
    assert await _bulk(engine) is GateState.RUNNING
    assert await budgets.get(GLOBAL_SCOPE) is None


async def test_a_raised_limit_lets_the_job_be_claimed(engine: AsyncEngine) -> None:
    budgets, attempts = _budgets(engine), PostgresAttempts(engine)
    await budgets.put(Budget(GLOBAL_SCOPE, Window.DAY, Decimal(0)), "ann")
    job = await submitted(engine)
    assert isinstance(await attempts.claim(claim_of(job)), NoRoom)
    await budgets.put(Budget(GLOBAL_SCOPE, Window.DAY, HOLD), "ann")
    await claimed(engine, claim_of(job))


async def test_quiet_budgets_leave_no_trace_in_the_gates(engine: AsyncEngine) -> None:
    before = await rows(engine, "SELECT * FROM queue_control ORDER BY queue")
    await _budgets(engine).put(_pausing(Decimal(5)), "ann")
    assert await rows(engine, "SELECT * FROM queue_control ORDER BY queue") == before
    assert await rows(engine, "SELECT * FROM audit_entries WHERE kind = 'gate'") == []
