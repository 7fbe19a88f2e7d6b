from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.domain.budgets import GLOBAL_SCOPE, Budget, Window
from shared.domain.ids import AttemptId
from shared.domain.ledger import LedgerEntry
from shared.persistence.repositories.attempts import PostgresAttempts
from shared.persistence.repositories.budgets import PostgresBudgets
from shared.persistence.repositories.ledger import PostgresLedger
from shared.persistence.repositories.ledger_upkeep import PostgresLedgerUpkeep
from shared.persistence.repositories.reconciliation import PostgresReconciliation
from shared.ports.reports import Reconciliation
from shared.system import SystemClock
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

_ALL_WELL = Reconciliation()
_SOON = timedelta(seconds=1)


async def _settled(engine: AsyncEngine) -> LedgerEntry:
    job = await submitted(engine)
    request = claim_of(job)
    await claimed(engine, request)
    await PostgresAttempts(engine).settle(settlement_of(job, request))
    return ledger_entry(job, request)


async def _book(engine: AsyncEngine, *entries: LedgerEntry) -> None:
    await PostgresLedger(engine, SetClock()).book(entries)


async def _booked_job(engine: AsyncEngine) -> None:
    await _book(engine, await _settled(engine))


async def _compared(engine: AsyncEngine, *, later: timedelta = timedelta()) -> Reconciliation:
    """Compare, and make sure that reading everything anew says the same."""
    repository = PostgresReconciliation(engine, SetClock(NOW + later))
    found = await repository.compare()
    assert await repository.compare(full=True) == found
    return found


async def _close(engine: AsyncEngine) -> None:
    assert await PostgresLedgerUpkeep(engine).close_compared(SystemClock().now() + _SOON)


async def _open(engine: AsyncEngine) -> Sequence[tuple[object, ...]]:
    return await rows(engine, "SELECT id FROM reconciliation_open ORDER BY id")


async def test_all_is_well_when_every_attempt_is_booked(engine: AsyncEngine) -> None:
    for _ in range(3):
        await _booked_job(engine)
    assert await _compared(engine) == _ALL_WELL


async def test_an_event_on_its_way_is_no_fault(engine: AsyncEngine) -> None:
    await _settled(engine)
    found = await _compared(engine)
    assert found == replace(
        _ALL_WELL, attempts_without_ledger=1, drift_usd=COST, in_flight_usd=COST
    )
    assert found.unexplained_usd == 0


async def test_an_event_that_does_not_come_is_drift(engine: AsyncEngine) -> None:
    await _booked_job(engine)
    await _settled(engine)
    found = await _compared(engine, later=timedelta(minutes=6))
    assert found == replace(_ALL_WELL, attempts_without_ledger=1, drift_usd=COST)
    assert found.unexplained_usd == COST


async def test_an_entry_without_attempt_shows(engine: AsyncEngine) -> None:
    await _book(engine, ledger_entry())
    expected = replace(_ALL_WELL, ledger_without_attempt=1, drift_usd=-COST)
    assert await _compared(engine) == expected
    await _close(engine)
    assert await _compared(engine) == expected


async def test_what_was_summed_up_twice_shows(engine: AsyncEngine) -> None:
    await _booked_job(engine)
    await change(engine, "UPDATE ledger_days SET entries = 2, cost_usd = 2 * cost_usd")
    found = await PostgresReconciliation(engine, SetClock()).compare()
    assert found == replace(_ALL_WELL, duplicate_entries=1, drift_usd=-COST)


async def test_a_call_under_way_shows_as_an_open_hold(engine: AsyncEngine) -> None:
    await claimed(engine, claim_of(await submitted(engine)))
    assert await _compared(engine) == replace(_ALL_WELL, open_holds=1)


@pytest.mark.parametrize(
    "fate",
    [
        "UPDATE jobs SET lease_until = now() - interval '1 s'",
        "UPDATE jobs SET status = 'succeeded', lease_until = NULL",
    ],
)
async def test_a_call_that_nobody_leases_shows_as_an_expired_hold(
    engine: AsyncEngine, fate: str
) -> None:
    await claimed(engine, claim_of(await submitted(engine)))
    await change(engine, fate)
    assert await _compared(engine) == replace(_ALL_WELL, expired_holds=1)


async def test_a_hold_that_no_attempt_explains_shows(engine: AsyncEngine) -> None:
    budget = Budget(GLOBAL_SCOPE, Window.DAY, Decimal(5))
    await PostgresBudgets(engine, SetClock()).put(budget, "test")
    await claimed(engine, claim_of(await submitted(engine)))
    assert (await _compared(engine)).holds_without_attempts_usd == 0
    await change(engine, "UPDATE budgets SET held_usd = held_usd + 1")
    assert (await _compared(engine)).holds_without_attempts_usd == 1


async def test_assumed_costs_and_corrections_show_and_are_no_drift(engine: AsyncEngine) -> None:
    entry = replace(await _settled(engine), assumed=True, cost_usd=HOLD)
    await change(engine, "UPDATE attempts SET cost_usd = hold_usd")
    correction = replace(
        entry, id=AttemptId("cor_1_000001"), corrects=entry.id, cost_usd=-HOLD, assumed=False
    )
    await _book(engine, entry, correction)
    assert await _compared(engine) == replace(
        _ALL_WELL,
        assumed_count=1,
        assumed_cost_usd=HOLD,
        corrections_count=1,
        corrections_usd=-HOLD,
    )


async def test_what_was_compared_is_not_read_again(engine: AsyncEngine) -> None:
    for _ in range(3):
        await _booked_job(engine)
    await _close(engine)
    ((up_to, attempts, usd),) = await rows(
        engine, "SELECT closed_up_to, attempts, attempts_usd FROM reconciliation_watermark"
    )
    assert (attempts, usd) == (3, COST * 3)
    assert [(up_to,)] == await rows(engine, "SELECT max(id) FROM attempts")
    assert await _compared(engine) == _ALL_WELL


async def test_what_lacked_its_entry_is_looked_at_again(engine: AsyncEngine) -> None:
    running = claim_of(await submitted(engine))
    await claimed(engine, running)
    entry = await _settled(engine)
    await _close(engine)
    assert await _open(engine) == sorted([(running.attempt_id,), (entry.id,)])
    found = await _compared(engine)
    assert (found.attempts_without_ledger, found.open_holds, found.drift_usd) == (1, 1, COST)
    await _book(engine, entry)
    await _close(engine)
    assert await _open(engine) == [(running.attempt_id,)]
    assert await _compared(engine) == replace(_ALL_WELL, open_holds=1)


async def test_the_watermark_waits_for_young_attempts(engine: AsyncEngine) -> None:
    await _booked_job(engine)
    before = SystemClock().now() - timedelta(minutes=5)
    assert await PostgresLedgerUpkeep(engine).close_compared(before)
    assert await rows(engine, "SELECT attempts FROM reconciliation_watermark") == [(0,)]


async def test_two_replicas_leave_the_watermark_to_one(
    engine: AsyncEngine, second_engine: AsyncEngine
) -> None:
    async with second_engine.connect() as connection, connection.begin():
        await connection.exec_driver_sql("SELECT pg_advisory_lock(7305114)")
        assert not await PostgresLedgerUpkeep(engine).close_compared(SystemClock().now())
        await connection.exec_driver_sql("SELECT pg_advisory_unlock(7305114)")


async def test_a_nights_result_is_kept_once(engine: AsyncEngine) -> None:
    repository = PostgresReconciliation(engine, SetClock())
    found = replace(_ALL_WELL, assumed_count=2, drift_usd=Decimal("0.5"))
    assert await repository.last_run() is None
    await repository.keep("nightly", found, NOW)
    await repository.keep("nightly", _ALL_WELL, NOW + timedelta(hours=1))
    await repository.keep("on_demand", _ALL_WELL, NOW + timedelta(hours=2))
    nightly = await repository.last_run("nightly")
    assert nightly is not None
    assert (nightly.ran_at, nightly.found) == (NOW, found)
    last = await repository.last_run()
    assert last is not None
    assert (last.occasion, last.ran_at) == ("on_demand", NOW + timedelta(hours=2))
