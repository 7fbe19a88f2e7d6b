from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.domain.budgets import GLOBAL_SCOPE, Budget, Threshold, ThresholdAction, Window
from shared.domain.catalog import Tier
from shared.domain.gates import CHAT_FREE, WORK_QUEUES, GateActor, GateState, QueueActual
from shared.persistence.repositories.budgets import PostgresBudgets
from shared.persistence.repositories.gates import PostgresGates
from shared.persistence.repositories.timed_gates import PostgresTimedGates
from shared.ports.gates import GateChange
from shared.system import SystemClock
from tests.support.chat_jobs import change, new_chat_job, of_user, rows, submitted


def _by_person(
    desired: GateState, until: datetime | None = None, concurrency: int | None = None
) -> GateChange:
    return GateChange(CHAT_FREE, desired, "why", GateActor.PERSON, "ann", until, concurrency)


async def test_every_work_queue_begins_open(engine: AsyncEngine) -> None:
    gates = await PostgresGates(engine).desired(WORK_QUEUES)
    assert {queue: gate.desired for queue, gate in gates.items()} == dict.fromkeys(
        WORK_QUEUES, GateState.RUNNING
    )


@pytest.mark.parametrize("state", [GateState.SLOWED, GateState.PAUSED, GateState.CLOSED])
async def test_a_change_is_one_generation_on_and_audited(
    engine: AsyncEngine, state: GateState
) -> None:
    gates = PostgresGates(engine)
    before = (await gates.desired([CHAT_FREE]))[CHAT_FREE]
    after = await gates.change(_by_person(state, concurrency=2))
    assert after == (await gates.desired([CHAT_FREE]))[CHAT_FREE]
    assert (after.desired, after.generation, after.concurrency) == (state, before.generation + 1, 2)
    assert await rows(
        engine, 'SELECT from_state, to_state, actor, "by", reason FROM audit_entries'
    ) == [("running", state, "person", "ann", "why")]


async def test_a_wish_that_is_fulfilled_changes_nothing(engine: AsyncEngine) -> None:
    gates = PostgresGates(engine)
    first = await gates.change(_by_person(GateState.PAUSED))
    assert await gates.change(_by_person(GateState.PAUSED)) == first


async def test_a_person_moves_a_budgets_gate(engine: AsyncEngine) -> None:
    gates = PostgresGates(engine)
    await gates.change(GateChange(CHAT_FREE, GateState.PAUSED, "spent", GateActor.BUDGET, "ledger"))
    gate = await gates.change(_by_person(GateState.RUNNING))
    assert (gate.desired, gate.actor) == (GateState.RUNNING, GateActor.PERSON)


def _timed(engine: AsyncEngine) -> PostgresTimedGates:
    return PostgresTimedGates(engine, SystemClock())


async def test_gates_reopen_when_their_time_is_over(engine: AsyncEngine) -> None:
    (((now,),)) = await rows(engine, "SELECT now()")
    assert isinstance(now, datetime)
    gates = PostgresGates(engine)
    await gates.change(_by_person(GateState.PAUSED, until=now + timedelta(hours=1)))
    assert not await _timed(engine).reopen_due()
    paused = await gates.change(_by_person(GateState.PAUSED, until=now - timedelta(seconds=1)))
    assert await _timed(engine).reopen_due()
    gate = (await gates.desired([CHAT_FREE]))[CHAT_FREE]
    assert (gate.desired, gate.until) == (GateState.RUNNING, None)
    assert gate.generation == paused.generation + 1
    assert not await _timed(engine).reopen_due()


async def test_a_gate_whose_time_is_over_stays_shut_while_the_budget_wants_that(
    engine: AsyncEngine,
) -> None:
    pause = Threshold(Decimal(0), ThresholdAction.PAUSE, (CHAT_FREE,))
    budget = Budget(GLOBAL_SCOPE, Window.DAY, thresholds=(pause,))
    await PostgresBudgets(engine, SystemClock()).put(budget, by="test")
    gates = PostgresGates(engine)
    until = SystemClock().now() - timedelta(seconds=1)
    await gates.change(_by_person(GateState.PAUSED, until=until))
    assert await _timed(engine).reopen_due()
    gate = (await gates.desired([CHAT_FREE]))[CHAT_FREE]
    assert (gate.desired, gate.actor) == (GateState.PAUSED, GateActor.BUDGET)


async def test_a_gate_without_an_end_stays_shut(engine: AsyncEngine) -> None:
    gates = PostgresGates(engine)
    await gates.change(_by_person(GateState.PAUSED))
    assert not await _timed(engine).reopen_due()


async def test_reports_of_workers_are_seen(engine: AsyncEngine) -> None:
    gates = PostgresGates(engine)
    await gates.report("worker-1", [QueueActual(CHAT_FREE, "running", 0, 3)])
    await gates.report("worker-1", [QueueActual(CHAT_FREE, "paused", 1, 0)])
    await gates.report("worker-2", [QueueActual(CHAT_FREE, "pausing", 1, 2)])
    overview = {one.gate.queue: one for one in await gates.overview()}
    assert [(one.worker, one.actual.actual) for one in overview[CHAT_FREE].workers] == [
        ("worker-1", "paused"),
        ("worker-2", "pausing"),
    ]


async def test_silent_workers_are_left_out_and_later_forgotten(engine: AsyncEngine) -> None:
    gates = PostgresGates(engine)
    await gates.report("worker-1", [QueueActual(CHAT_FREE, "running", 0, 0)])
    await change(engine, "UPDATE queue_actual SET seen_at = now() - interval '16 s'")
    assert [one.workers for one in await gates.overview()] == [[]] * len(WORK_QUEUES)
    await change(engine, "UPDATE queue_actual SET seen_at = now() - interval '2 h'")
    await _timed(engine).reopen_due()
    assert await rows(engine, "SELECT * FROM queue_actual") == []


async def test_the_oldest_queued_job_shows_how_long_work_waits(engine: AsyncEngine) -> None:
    job = await submitted(engine, new_chat_job(of_user("u", Tier.FREE)))
    oldest = {o.gate.queue: o.oldest_queued_at for o in await PostgresGates(engine).overview()}
    assert oldest == {
        queue: job.created_at if queue == CHAT_FREE else None for queue in WORK_QUEUES
    }
