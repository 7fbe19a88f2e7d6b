import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

from sqlalchemy.ext.asyncio import AsyncEngine

from shared.domain.budgets import GLOBAL_SCOPE, Budget, Threshold, ThresholdAction, Window
from shared.domain.gates import CHAT_FREE, EMBED_BULK, GateActor, GateState
from shared.domain.ids import QueueName
from shared.persistence.repositories.attempts import PostgresAttempts
from shared.persistence.repositories.budgets import PostgresBudgets
from shared.persistence.repositories.gates import PostgresGates
from shared.persistence.repositories.ledger import PostgresLedger
from shared.ports.gates import GateChange
from shared.ports.money import BudgetState
from tests.support.chat_jobs import (
    COST,
    HOLD,
    NOW,
    SetClock,
    claim_of,
    claimed,
    ledger_entry,
    rows,
    settlement_of,
    submitted,
)

_DAY = timedelta(days=1)
_BULK_ONLY = (EMBED_BULK,)
_AUDIT = """
    SELECT queue, from_state, to_state, actor, "by" FROM audit_entries WHERE kind = 'gate'
"""


def _ledger(engine: AsyncEngine, clock: SetClock | None = None) -> PostgresLedger:
    return PostgresLedger(engine, clock or SetClock())


async def _budget(
    engine: AsyncEngine, *thresholds: Threshold, limit_usd: Decimal | None = None
) -> BudgetState:
    budget = Budget(GLOBAL_SCOPE, Window.DAY, limit_usd, thresholds)
    return await PostgresBudgets(engine, SetClock()).put(budget, "test")


async def _global(engine: AsyncEngine, clock: SetClock | None = None) -> BudgetState:
    state = await PostgresBudgets(engine, clock or SetClock()).get(GLOBAL_SCOPE)
    assert state is not None
    return state


async def _gate(engine: AsyncEngine, queue: QueueName = EMBED_BULK) -> tuple[GateState, GateActor]:
    gate = (await PostgresGates(engine).desired([queue]))[queue]
    return gate.desired, gate.actor


async def _shut_by_person(engine: AsyncEngine) -> None:
    await PostgresGates(engine).change(
        GateChange(EMBED_BULK, GateState.CLOSED, "repairs", GateActor.PERSON, "ann")
    )


def _pause_at(usd: str, queues: Sequence[QueueName] = _BULK_ONLY) -> Threshold:
    return Threshold(Decimal(usd), ThresholdAction.PAUSE, tuple(queues))


async def test_an_entry_is_booked_once(engine: AsyncEngine) -> None:
    entry = ledger_entry()
    ledger = _ledger(engine)
    assert (await ledger.book([entry, entry])).entries == 1
    assert (await ledger.book([entry])).entries == 0
    assert await rows(engine, "SELECT id, cost_usd FROM ledger_entries") == [(entry.id, COST)]
    assert await rows(engine, "SELECT requests, cost_usd FROM usage_rollups") == [(1, COST)]
    assert (await _global(engine)).spent_usd == COST


async def test_nothing_is_booked_for_nothing(engine: AsyncEngine) -> None:
    assert (await _ledger(engine).book([])).entries == 0


async def test_concurrent_bookings_tell_once_what_they_did(engine: AsyncEngine) -> None:
    ledger = _ledger(engine)
    booked = await asyncio.gather(*(ledger.book([ledger_entry()]) for _ in range(50)))
    assert sum(one.entries for one in booked) == 50


async def test_booking_releases_the_hold(engine: AsyncEngine) -> None:
    await _budget(engine, limit_usd=Decimal(1))
    job = await submitted(engine)
    request = claim_of(job)
    await claimed(engine, request)
    await PostgresAttempts(engine).settle(settlement_of(job, request))
    assert (await _global(engine)).held_usd == HOLD
    entry = ledger_entry(job, request)
    await _ledger(engine).book([entry])
    await _ledger(engine).book([entry])
    state = await _global(engine)
    assert (state.spent_usd, state.held_usd) == (COST, Decimal(0))


async def test_rollups_count_fallbacks_and_errors(engine: AsyncEngine) -> None:
    entry = ledger_entry()
    fallback = replace(ledger_entry(), is_fallback=True)
    error = replace(ledger_entry(), is_error=True, is_fallback=True)
    await _ledger(engine).book([entry, fallback, error])
    found = await rows(engine, "SELECT requests, fallbacks, errors, neurons FROM usage_rollups")
    assert found == [(3, 2, 1, 6)]


async def test_a_day_is_a_day_in_utc(engine: AsyncEngine) -> None:
    late = NOW.replace(hour=23, minute=59)
    await _ledger(engine).book(
        [ledger_entry(occurred_at=late), ledger_entry(occurred_at=late + timedelta(minutes=2))]
    )
    days = await rows(engine, "SELECT day FROM usage_rollups ORDER BY day")
    assert days == [(NOW.date(),), ((NOW + _DAY).date(),)]


async def test_a_new_window_starts_from_nothing(engine: AsyncEngine) -> None:
    clock = SetClock()
    ledger = _ledger(engine, clock)
    await ledger.book([ledger_entry()])
    clock.time = NOW + _DAY
    assert (await _global(engine, clock)).spent_usd == 0
    await ledger.book([ledger_entry(occurred_at=NOW + _DAY, cost_usd=Decimal(1))])
    assert (await _global(engine, clock)).spent_usd == 1


async def test_yesterdays_events_do_not_count_today(engine: AsyncEngine) -> None:
    await _ledger(engine).book([ledger_entry(occurred_at=NOW - _DAY)])
    assert (await _global(engine)).spent_usd == 0


async def test_a_slow_clock_does_not_bring_yesterday_back(engine: AsyncEngine) -> None:
    """Replicas read their clocks before they wait for the budget: around midnight they disagree."""
    tomorrow = SetClock(NOW + _DAY)
    await _ledger(engine, tomorrow).book([ledger_entry(occurred_at=NOW + _DAY)])
    await _ledger(engine).book([ledger_entry(), ledger_entry(occurred_at=NOW + _DAY)])
    await _ledger(engine, tomorrow).book([ledger_entry(occurred_at=NOW + _DAY)])
    assert (await _global(engine, tomorrow)).spent_usd == COST * 3


async def test_a_threshold_fires_once(engine: AsyncEngine) -> None:
    await _budget(engine, Threshold(COST, ThresholdAction.ALERT))
    first = await _ledger(engine).book([ledger_entry()])
    second = await _ledger(engine).book([ledger_entry()])
    assert len(first.alerts) == 1
    assert "threshold 0.004 USD: alert" in first.alerts[0]
    assert second.alerts == []


async def test_replicas_fire_a_threshold_once(
    engine: AsyncEngine, second_engine: AsyncEngine
) -> None:
    await _budget(engine, Threshold(COST * 10, ThresholdAction.ALERT), _pause_at("0.12"))
    replicas = [_ledger(engine), _ledger(second_engine)]
    booked = await asyncio.gather(
        *(replicas[n % 2].book([ledger_entry()]) for n in range(60)),
    )
    assert sum(one.entries for one in booked) == 60
    assert sum(len(one.alerts) for one in booked) == 2
    assert sum(one.gates_moved for one in booked) == 1
    fired = await rows(engine, "SELECT threshold FROM alerts ORDER BY threshold")
    assert fired == [("0.04:alert",), ("0.12:pause",)]


async def test_a_threshold_fires_again_in_the_next_window(engine: AsyncEngine) -> None:
    clock = SetClock()
    await _budget(engine, Threshold(COST, ThresholdAction.ALERT))
    ledger = _ledger(engine, clock)
    await ledger.book([ledger_entry()])
    clock.time = NOW + _DAY
    again = await ledger.book([ledger_entry(occurred_at=clock.time)])
    assert len(again.alerts) == 1


async def test_a_threshold_moves_the_gates_it_names(engine: AsyncEngine) -> None:
    await _budget(engine, _pause_at("0.004"))
    before = (await PostgresGates(engine).desired([CHAT_FREE]))[CHAT_FREE]
    booked = await _ledger(engine).book([ledger_entry()])
    assert booked.gates_moved
    assert await _gate(engine) == (GateState.PAUSED, GateActor.BUDGET)
    assert (await PostgresGates(engine).desired([CHAT_FREE]))[CHAT_FREE] == before
    audit = await rows(engine, _AUDIT)
    assert audit == [(EMBED_BULK, "running", "paused", "budget", "ledger")]


async def test_a_gate_shut_by_a_budget_opens_at_the_windows_end(engine: AsyncEngine) -> None:
    await _budget(engine, _pause_at("0.004"))
    await _ledger(engine).book([ledger_entry()])
    gate = (await PostgresGates(engine).desired(_BULK_ONLY))[EMBED_BULK]
    assert gate.until == Window.DAY.end(NOW)


async def test_slowing_caps_concurrency(engine: AsyncEngine) -> None:
    await _budget(engine, Threshold(COST, ThresholdAction.SLOW, _BULK_ONLY))
    await _ledger(engine).book([ledger_entry()])
    gate = (await PostgresGates(engine).desired(_BULK_ONLY))[EMBED_BULK]
    assert (gate.desired, gate.concurrency) == (GateState.SLOWED, 1)


async def test_an_alert_alone_moves_no_gate(engine: AsyncEngine) -> None:
    await _budget(engine, Threshold(COST, ThresholdAction.ALERT))
    assert not (await _ledger(engine).book([ledger_entry()])).gates_moved
    assert await rows(engine, "SELECT * FROM audit_entries WHERE kind = 'gate'") == []


async def test_what_a_person_shut_a_budget_does_not_move(engine: AsyncEngine) -> None:
    await _budget(engine, _pause_at("0.004"))
    await _shut_by_person(engine)
    assert not (await _ledger(engine).book([ledger_entry()])).gates_moved
    assert await _gate(engine) == (GateState.CLOSED, GateActor.PERSON)
    await _budget(engine)
    assert await _gate(engine) == (GateState.CLOSED, GateActor.PERSON)


async def test_only_a_global_budget_moves_queues(engine: AsyncEngine) -> None:
    entry = ledger_entry()
    scope = f"user:{entry.user_id}"
    budget = Budget(GLOBAL_SCOPE.parse(scope), Window.DAY, None, (_pause_at("0.004"),))
    await PostgresBudgets(engine, SetClock()).put(budget, "test")
    assert len((await _ledger(engine).book([entry])).alerts) == 1
    assert (await _gate(engine))[0] is GateState.RUNNING
