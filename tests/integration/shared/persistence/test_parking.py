"""Jobs that wait for money or for a gate: parked, let go fairly, and at no cost meanwhile."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.domain.budgets import Budget, BudgetScope, Window
from shared.domain.outgoing import OutboxRow
from shared.domain.work import JobContinues, NewJob, SettledJob
from shared.persistence.repositories.attempts import PostgresAttempts
from shared.persistence.repositories.budgets import PostgresBudgets
from shared.persistence.repositories.jobs import PostgresJobs
from shared.persistence.repositories.ledger import PostgresLedger
from shared.persistence.repositories.outbox import PostgresOutbox
from shared.persistence.repositories.releasing import AT_ONCE, PostgresParking
from tests.support.chat_jobs import (
    COST,
    HOLD,
    NOW,
    SetClock,
    change,
    claim_of,
    claimed,
    ledger_entry,
    new_chat_job,
    of_user,
    parking_of,
    rows,
    settlement_of,
    submitted,
)

_TOMORROW = Window.DAY.end(NOW)


async def _limit(engine: AsyncEngine, limit_usd: Decimal, scope: str = "global") -> None:
    budget = Budget(BudgetScope.parse(scope), Window.DAY, limit_usd)
    await PostgresBudgets(engine, SetClock()).put(budget, "test")


async def _parked(engine: AsyncEngine, job: NewJob, scope: str = "global") -> NewJob:
    """Park a job, and let the look that follows find no reason to come soon."""
    await PostgresJobs(engine).submit(job)
    await change(engine, "DELETE FROM outbox")
    await PostgresAttempts(engine).park(parking_of(job, scope, _TOMORROW))
    return job


async def _several(engine: AsyncEngine, users: Sequence[str], scope: str = "global") -> None:
    """Park one job for each name in `users`, in this order, at once."""
    jobs = [new_chat_job(of_user(user)) for user in users]
    store, attempts = PostgresJobs(engine), PostgresAttempts(engine)
    await asyncio.gather(*(store.submit(job) for job in jobs))
    await change(engine, "DELETE FROM outbox")
    await asyncio.gather(*(attempts.park(parking_of(job, scope)) for job in jobs))


async def _looked(
    engine: AsyncEngine, clock: SetClock | None = None, *, is_due: bool = True
) -> list[OutboxRow]:
    """Look at every lot; only at those that something has marked, unless `is_due`."""
    if is_due:
        await change(engine, "UPDATE parking_lots SET look_at = now()")
    return [*await PostgresParking(engine, clock or SetClock()).release()]


async def _users_of(engine: AsyncEngine, released: Sequence[OutboxRow]) -> list[str]:
    found = await rows(engine, "SELECT id, user_id FROM jobs")
    user_by_job = {job: str(user) for job, user in found}
    return [user_by_job[row.message.message_id.partition(":")[0]] for row in released]


async def test_a_parked_job_says_why_and_its_command_is_nowhere_polled(
    engine: AsyncEngine,
) -> None:
    job = await _parked(engine, new_chat_job())
    waiting = await rows(engine, "SELECT waiting_reason, waiting_until, waiting_detail FROM jobs")
    assert waiting == [("budget", _TOMORROW, "no room in budget global")]
    assert await rows(engine, "SELECT * FROM outbox") == []
    assert await rows(engine, "SELECT job_id, body, hold_usd FROM parked_commands") == [
        (job.id, job.command.body, HOLD)
    ]


async def test_a_job_that_is_leased_to_another_worker_is_not_parked(engine: AsyncEngine) -> None:
    job = await submitted(engine)
    await claimed(engine, claim_of(job))
    for worker in ("worker-1", "worker-2"):
        await PostgresAttempts(engine).park(parking_of(job, worker=worker))
    assert await rows(engine, "SELECT * FROM parked_commands") == []


async def test_a_job_between_two_attempts_of_this_worker_is_parked(engine: AsyncEngine) -> None:
    job, attempts = await submitted(engine), PostgresAttempts(engine)
    request = claim_of(job)
    await claimed(engine, request)
    settled: SettledJob = await attempts.settle(settlement_of(job, request, JobContinues()))
    assert settled.applied
    await attempts.park(parking_of(job))
    assert await rows(engine, "SELECT status, lease_owner FROM jobs") == [("queued", None)]
    assert len(await rows(engine, "SELECT * FROM parked_commands")) == 1


async def test_parking_twice_parks_once(engine: AsyncEngine) -> None:
    job = await _parked(engine, new_chat_job())
    await PostgresAttempts(engine).park(parking_of(job, "user:user-1"))
    assert await rows(engine, "SELECT scope FROM parked_commands") == [("user:user-1",)]


async def test_a_job_is_looked_at_soon_after_it_was_parked(engine: AsyncEngine) -> None:
    """Room may have been made between the claim that found none and the parking."""
    await _parked(engine, new_chat_job())
    due = await rows(engine, "SELECT look_at <= now() + interval '1 s' FROM parking_lots")
    assert due == [(True,)]


@pytest.mark.parametrize("limit", [None, HOLD])
async def test_a_raised_or_removed_limit_lets_parked_jobs_go_at_once(
    engine: AsyncEngine, limit: Decimal | None
) -> None:
    await _limit(engine, HOLD / 2)
    job = await _parked(engine, new_chat_job())
    assert await _looked(engine) == []
    assert await _looked(engine, is_due=False) == []
    budgets = PostgresBudgets(engine, SetClock())
    if limit is None:
        assert await budgets.delete(BudgetScope.parse("global"), "ann")
    else:
        await _limit(engine, limit)
    (row,) = await _looked(engine, is_due=False)
    assert row.message == job.command
    assert await rows(engine, "SELECT waiting_reason FROM jobs") == [(None,)]
    assert await rows(engine, "SELECT * FROM parking_lots") == []


async def test_another_scopes_budget_lets_nobody_go(engine: AsyncEngine) -> None:
    await _limit(engine, HOLD / 2)
    await _parked(engine, new_chat_job())
    assert await _looked(engine) == []
    await _limit(engine, Decimal(5), "user:user-1")
    assert await _looked(engine, is_due=False) == []


async def test_a_new_window_lets_parked_jobs_go(engine: AsyncEngine) -> None:
    await _limit(engine, HOLD)
    await PostgresLedger(engine, SetClock()).book([ledger_entry(cost_usd=HOLD)])
    await _parked(engine, new_chat_job())
    assert await _looked(engine, SetClock(_TOMORROW - timedelta(seconds=1))) == []
    assert len(await _looked(engine, SetClock(_TOMORROW))) == 1


async def test_a_booking_that_frees_a_hold_lets_the_next_job_go(engine: AsyncEngine) -> None:
    await _limit(engine, HOLD + COST)
    running, waiting = await submitted(engine), new_chat_job()
    request = claim_of(running)
    await claimed(engine, request)
    await _parked(engine, waiting)
    assert await _looked(engine) == []
    await PostgresAttempts(engine).settle(settlement_of(running, request))
    await PostgresLedger(engine, SetClock()).book([ledger_entry(running, request)])
    (row,) = await _looked(engine, is_due=False)
    assert row.message == waiting.command


async def test_as_many_leave_as_there_is_room_for(engine: AsyncEngine) -> None:
    await _limit(engine, HOLD * 3)
    await _several(engine, ["ann"] * 5)
    assert len(await _looked(engine)) == 3


async def test_a_job_too_dear_does_not_stand_before_others(engine: AsyncEngine) -> None:
    await _limit(engine, HOLD)
    dear, cheap = new_chat_job(of_user("a")), new_chat_job(of_user("b"))
    for job, hold in ((dear, HOLD * 2), (cheap, HOLD)):
        await submitted(engine, job)
        await PostgresAttempts(engine).park(parking_of(job, hold_usd=hold))
    (row,) = await _looked(engine)
    assert row.message == cheap.command


async def test_tenants_share_what_room_there_is(engine: AsyncEngine) -> None:
    await _limit(engine, HOLD * 6)
    await _several(engine, ["ann"] * 100 + ["bob", "cem"] * 2)
    released = await _users_of(engine, await _looked(engine))
    assert Counter(released) == {"ann": 2, "bob": 2, "cem": 2}


async def test_one_place_at_a_time_goes_round_the_tenants(engine: AsyncEngine) -> None:
    await _limit(engine, HOLD)
    await _several(engine, ["ann"] * 3 + ["bob"] * 3 + ["cem"] * 3)
    turns = [await _users_of(engine, await _looked(engine)) for _ in range(4)]
    assert turns == [["ann"], ["bob"], ["cem"], ["ann"]]


async def test_a_release_lets_a_bounded_number_go_at_once(engine: AsyncEngine) -> None:
    await _several(engine, [f"user-{n % 7}" for n in range(AT_ONCE + 50)])
    assert len(await _looked(engine)) == AT_ONCE
    assert await _looked(engine, is_due=False) == [], "the rest waits a moment"
    assert len(await _looked(engine)) == 50


async def test_replicas_release_each_command_once(
    engine: AsyncEngine, second_engine: AsyncEngine
) -> None:
    await _several(engine, ["ann"] * 60, "user:ann")
    await _several(engine, ["bob"] * 60, "user:bob")
    await change(engine, "UPDATE parking_lots SET look_at = now()")
    parking = [PostgresParking(one, SetClock()) for one in (engine, second_engine)]
    released = await asyncio.gather(*(one.release() for one in parking))
    commands = [row.message.message_id for one in released for row in one]
    assert len(commands) == len(set(commands)) == 120


async def test_a_parked_job_leaves_at_its_deadline_to_expire(engine: AsyncEngine) -> None:
    await _limit(engine, Decimal(0))
    ((now,),) = await rows(engine, "SELECT now()")
    job = await _parked(engine, new_chat_job(deadline=_TOMORROW))
    assert await _looked(engine) == []
    await change(engine, "UPDATE parked_commands SET deadline = :now", now=now)
    (row,) = await _looked(engine, is_due=False)
    assert row.message == job.command


async def test_ten_thousand_parked_jobs_cost_nothing_and_a_look_reads_few(
    engine: AsyncEngine,
) -> None:
    await _limit(engine, HOLD / 2)
    await change(
        engine,
        "INSERT INTO parked_commands (job_id, scope, queue, user_id, hold_usd, message_id, "
        "exchange, routing_key, body) SELECT 'job-' || n, 'global', 'chat.paid', "
        "'user-' || n % 100, CAST(:hold AS numeric), 'm' || n, 'jobs', 'chat.paid', '' "
        "FROM generate_series(1, 10000) AS n",
        hold=HOLD,
    )
    await change(
        engine,
        "INSERT INTO parking_lots (scope, queue, look_at) VALUES ('global', 'chat.paid', now())",
    )
    await change(engine, "ANALYZE parked_commands")
    assert await _looked(engine) == []
    before = await _rows_read(engine)
    for _ in range(10):
        assert await PostgresOutbox(engine).due(500) == []
        assert await _looked(engine, is_due=False) == []
    scans, read = await _rows_read(engine)
    assert scans == before[0]
    assert read - before[1] < 10 * 5, "the planner peeks at an index's ends; nothing is polled"

    await _limit(engine, HOLD * 5)
    assert len(await _looked(engine, is_due=False)) == 5
    before = (scans, read)
    scans, read = await _rows_read(engine)
    assert scans == before[0], "a look never reads the whole table"
    assert read - before[1] < 3 * AT_ONCE + 300


async def _rows_read(engine: AsyncEngine) -> tuple[int, int]:
    """Return sequential scans of the parked commands, and rows that their indexes gave."""
    await change(engine, "SELECT pg_stat_force_next_flush()")
    found = await rows(
        engine,
        "SELECT t.seq_scan, CAST(sum(i.idx_tup_read) AS bigint) FROM pg_stat_user_tables t "
        "JOIN pg_stat_user_indexes i USING (relid) WHERE t.relname = 'parked_commands' "
        "GROUP BY t.seq_scan",
    )
    ((scans, read),) = found
    assert isinstance(scans, int)
    assert isinstance(read, int)
    return scans, read
