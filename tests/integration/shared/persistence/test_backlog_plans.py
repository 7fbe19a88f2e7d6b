"""With many jobs waiting, what ops ask and what a claim needs is found by an index alone."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from decimal import Decimal

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.domain.budgets import Budget, BudgetScope, Window
from shared.domain.claims import Claimed
from shared.domain.gates import CHAT_FREE
from shared.domain.ids import AttemptId, JobId
from shared.persistence.engine import create_engine
from shared.persistence.repositories.attempts import PostgresAttempts
from shared.persistence.repositories.budgets import PostgresBudgets
from shared.persistence.repositories.gates import OVERVIEW, PostgresGates
from shared.persistence.repositories.leases import PostgresLeases
from shared.persistence.repositories.outbox import PostgresOutbox
from shared.persistence.repositories.reconciliation import PostgresReconciliation
from shared.persistence.repositories.releasing import PostgresParking
from shared.persistence.repositories.reports import PostgresReports
from shared.ports.reports import LedgerFilter
from tests.support.chat_jobs import NOW, USER, SetClock, change, claim_of, new_chat_job, rows
from tests.support.waiting import wait_until

_MANY = 20_000
_FEW = 10
"""Of rows: a table may have none but what the test itself made."""
_TABLES = ("jobs", "job_contents", "parked_commands", "outbox", "attempts", "ledger_entries")
_FILL = """
    INSERT INTO jobs (id, user_id, key_id, tier, kind, queue, status, model_requested,
        on_interrupt, input_tokens_bound, max_output_tokens, request_hash, created_at)
    SELECT 'job_' || lpad(to_hex(n), 32, '0'), 'user-1', 'key-1', 'free', 'chat', 'chat.free',
        'queued', 'auto', 'restart', 100, 50, '', now() FROM generate_series(1, :many) n;
    INSERT INTO job_contents (job_id, request) SELECT id, '{}' FROM jobs;
    INSERT INTO parked_commands (job_id, scope, queue, user_id, message_id, exchange, routing_key,
        body)
    SELECT id, 'user:nobody', queue, user_id, id, 'jobs', queue, '' FROM jobs;
    INSERT INTO parking_lots (scope, queue, look_at)
    VALUES ('user:nobody', 'chat.free', now() + interval '1 day');
    INSERT INTO attempts (id, job_id, number, worker, provider, model, price_id, outcome,
        is_fallback, started_at, finished_at)
    SELECT 'att_' || substr(id, 5), id, 1, 'w', 'openai', 'm', 'p', 'failed', false, now(), now()
    FROM jobs;
    INSERT INTO ledger_entries (id, job_id, user_id, key_id, tier, operation, provider, model,
        price_id, input_tokens, output_tokens, neurons, is_fallback, is_error, assumed, latency_ms,
        occurred_at)
    SELECT id, job_id, 'user-1', 'key-1', 'free', 'chat', provider, model, price_id, 0, 0, 0,
        false, true, false, 1, started_at FROM attempts;
    UPDATE reconciliation_watermark SET attempts = :many,
        closed_up_to = (SELECT max(id) FROM attempts)
"""
_READ_BY_SCANS = """
    SELECT coalesce(sum(seq_tup_read), 0) FROM pg_stat_user_tables
    WHERE relname = ANY(:tables) OR relname LIKE 'ledger_entries%'
"""
_OTHERS = """
    SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()
        AND backend_type = 'client backend'
"""
Ask = Callable[[AsyncEngine], Awaitable[object]]


@pytest.fixture
async def backlogged_url(engine: AsyncEngine, database_url: str) -> str:
    """A database with many jobs waiting, whose attempts so far were booked and compared."""
    for statement in _FILL.split(";"):
        await change(engine, statement.replace(":many", str(_MANY)))
    async with engine.connect() as connection:
        await connection.exec_driver_sql(f"VACUUM ANALYZE {', '.join(_TABLES)}")
    await engine.dispose()  # a backend tells what it has read at its end, or some time before
    return database_url


async def _claim(engine: AsyncEngine) -> None:
    job = replace(new_chat_job(), id=JobId("job_" + f"{7:032x}"))
    assert isinstance(await PostgresAttempts(engine).claim(claim_of(job)), Claimed)


async def _replace_budget(engine: AsyncEngine) -> None:
    budget = Budget(BudgetScope.parse("user:user-1"), Window.DAY, Decimal(5))
    await PostgresBudgets(engine, SetClock()).put(budget, "test")
    await PostgresBudgets(engine, SetClock()).put(budget, "test")


async def _read_ledger(engine: AsyncEngine) -> None:
    reports = PostgresReports(engine)
    half = AttemptId("att_" + f"{_MANY // 2:032x}")
    for wanted in (
        LedgerFilter(),
        LedgerFilter(user_id=USER),
        LedgerFilter(job_id=JobId("job_" + f"{9:032x}")),
        LedgerFilter(day=NOW.date()),
    ):
        await reports.ledger_page(half, 10, wanted)


_QUESTIONS: Mapping[str, Ask] = {
    "queues": lambda engine: PostgresGates(engine).overview(),
    "usage": lambda engine: PostgresReports(engine).usage(["user", "day"], None, None),
    "budgets": lambda engine: PostgresBudgets(engine, SetClock()).all(),
    "replaced budget": _replace_budget,
    "claim": _claim,
    "ledger": _read_ledger,
    "reconciliation": lambda engine: PostgresReconciliation(engine, SetClock()).compare(),
    "due messages": lambda engine: PostgresOutbox(engine).due(100),
    "parked commands": lambda engine: PostgresParking(engine, SetClock()).release(),
    "expired leases": lambda engine: PostgresLeases(engine).expired(100),
}


async def test_nothing_reads_the_backlog_from_end_to_end(
    engine: AsyncEngine, backlogged_url: str
) -> None:
    """Seen in the counters of every table, once the backends that asked are gone."""

    async def is_alone() -> bool:
        return await rows(engine, _OTHERS) == [(0,)]

    async def read_by_scans() -> int:
        ((count,),) = await rows(engine, _READ_BY_SCANS, tables=[*_TABLES])
        return int(str(count))

    await wait_until(is_alone, 20)
    read: dict[str, int] = {}
    for name, ask in _QUESTIONS.items():
        before = await read_by_scans()
        asking = create_engine(backlogged_url, 1)
        await ask(asking)
        await asking.dispose()
        await wait_until(is_alone, 20)
        read[name] = await read_by_scans() - before
    assert {name: count for name, count in read.items() if count > _FEW} == {}


async def test_the_oldest_job_of_a_queue_is_found_in_an_index_alone(
    engine: AsyncEngine, backlogged_url: str
) -> None:
    del backlogged_url
    plan = await rows(engine, f"EXPLAIN {OVERVIEW}")
    lines = [str(line) for (line,) in plan]
    assert any("Index Only Scan using jobs_queue_id_idx" in line for line in lines), lines
    found = await PostgresGates(engine).overview()
    overview = {one.gate.queue: one.oldest_queued_at for one in found}
    assert [queue for queue, oldest in overview.items() if oldest is not None] == [CHAT_FREE]
