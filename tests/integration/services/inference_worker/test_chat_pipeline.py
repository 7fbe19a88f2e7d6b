"""Chat jobs from their acceptance to the ledger, by real parts before the simulator."""

import orjson
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.domain.catalog import CLOUDFLARE, OPENAI
from shared.domain.jobs import AttemptOutcome, JobStatus
from shared.persistence.repositories.reconciliation import PostgresReconciliation
from shared.system import SystemClock
from tests.support.chat_jobs import change, new_chat_job, rows
from tests.support.chat_pipeline import Pipeline
from tests.support.proxy import Proxy
from tests.support.waiting import wait_until


async def _all_is_well(running: Pipeline) -> None:
    """The ledger holds what the simulator billed, and every attempt once."""
    assert await running.ledger_usd() == await running.billed_usd()
    found = await PostgresReconciliation(running.engine, SystemClock()).compare()
    assert found.drift_usd == found.duplicate_entries == found.expired_holds == 0
    held = await rows(running.engine, "SELECT scope FROM budgets WHERE held_usd <> 0")
    assert held == []


async def test_jobs_are_answered_delivered_and_booked(running: Pipeline) -> None:
    jobs = [await running.submit(new_chat_job(prompt=f"Say {n}")) for n in range(20)]
    views = await running.ended(*jobs)
    assert {view.provider for view in views} == {CLOUDFLARE}
    for view in views:
        assert view.result_json is not None
        assert orjson.loads(view.result_json)["message"]["content"]
        assert view.cost_usd > 0
    query = "SELECT seq, frame ->> 'type' FROM deliveries ORDER BY seq"
    delivered = await rows(running.engine, query)
    assert delivered == [(seq, "job.completed") for seq in range(1, 21)]
    await wait_until(lambda: _is_empty(running.engine, "outbox"))
    await _all_is_well(running)


async def test_what_a_cut_stream_consumed_is_paid_and_booked(running: Pipeline) -> None:
    await running.simulator.misbehave("cloudflare", mode="cut_stream", after_chunks=2)
    (view,) = await running.ended(await running.submit(new_chat_job()))
    assert (view.provider, view.is_fallback) == (OPENAI, True)
    assert [a.outcome for a in view.attempts] == [AttemptOutcome.FAILED, AttemptOutcome.SUCCEEDED]
    assert view.cost_usd == sum(attempt.cost_usd for attempt in view.attempts)
    assert await running.ledger_usd() == view.cost_usd


async def test_a_command_delivered_again_pays_nothing_again(running: Pipeline) -> None:
    job = new_chat_job()
    await running.submit(job)
    await running.ended(job.id)
    calls = len(await running.simulator.billed())
    await change(
        running.engine,
        "INSERT INTO outbox (message_id, exchange, routing_key, body, available_at) "
        "VALUES (:message_id, 'jobs', :queue, :body, now())",
        message_id=job.command.message_id,
        queue=job.queue,
        body=job.command.body,
    )
    await wait_until(lambda: _is_empty(running.engine, "outbox"))
    after = await running.submit(new_chat_job())
    await running.ended(after)
    assert len(await running.simulator.billed()) == calls + 1
    assert await rows(running.engine, "SELECT count(*) FROM attempts") == [(2,)]
    await _all_is_well(running)


async def test_a_lost_connection_neither_ends_nor_doubles_a_call(
    running: Pipeline, proxy: Proxy
) -> None:
    await running.simulator.misbehave("cloudflare", latency_ms=1500)
    job = await running.submit(new_chat_job())
    await wait_until(lambda: _has(running.engine, "attempts"))
    await proxy.cut()
    await proxy.open()
    (view,) = await running.ended(job)
    assert view.status is JobStatus.SUCCEEDED
    assert [attempt.outcome for attempt in view.attempts] == [AttemptOutcome.SUCCEEDED]
    after = await running.submit(new_chat_job())
    await running.ended(after)
    assert len(await running.simulator.billed()) == 2
    await _all_is_well(running)


async def _is_empty(engine: AsyncEngine, table: str) -> bool:
    return not await _has(engine, table)


async def _has(engine: AsyncEngine, table: str) -> bool:
    found = await rows(engine, f"SELECT 1 FROM {table} LIMIT 1")  # noqa: S608 - a test's own words
    return bool(found)
