import asyncio
from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal

import orjson
from sqlalchemy.ext.asyncio import AsyncEngine

from services.cost_aggregator.use_cases.sweep_leases import SweepLeases
from shared.domain.lost_work import LostJob
from shared.domain.outgoing import OutboxRow
from shared.domain.retry import MAX_FAILED_ATTEMPTS
from shared.domain.work import NewJob
from shared.messages.commands import CompleteChat
from shared.messages.events import UsageRecorded
from shared.messages.frames import FRAME, JobFailed
from shared.persistence.repositories.attempts import PostgresAttempts
from shared.persistence.repositories.leases import PostgresLeases
from shared.system import RandomIds
from tests.support.chat_jobs import (
    HOLD,
    NOW,
    SetClock,
    change,
    claim_of,
    claimed,
    new_chat_job,
    rows,
    submitted,
)
from tests.support.fakes_of_work import RecordingRelay

_ATTEMPTS = "SELECT outcome, assumed, cost_usd, error_code FROM attempts"


def _sweeper(engine: AsyncEngine) -> tuple[SweepLeases, RecordingRelay]:
    relay = RecordingRelay()
    clock = SetClock(NOW + timedelta(seconds=5))
    return SweepLeases(PostgresLeases(engine), relay, clock, RandomIds()), relay


async def _lost(engine: AsyncEngine, *, failures: int = 0) -> NewJob:
    job = await submitted(engine, new_chat_job(deadline=NOW + timedelta(days=1)))
    await claimed(engine, claim_of(job))
    await change(
        engine,
        "UPDATE jobs SET lease_until = now() - interval '1 s', failure_count = :failures",
        failures=failures,
    )
    await change(engine, "DELETE FROM outbox")
    return job


def _sent_to(rows_: list[OutboxRow], exchange: str) -> list[bytes]:
    return [row.message.body for row in rows_ if row.message.exchange == exchange]


async def test_a_lease_that_runs_is_not_expired(engine: AsyncEngine) -> None:
    await claimed(engine, claim_of(await submitted(engine)))
    assert await PostgresLeases(engine).expired(10) == []


async def test_an_expired_lease_is_found_with_its_open_attempt(engine: AsyncEngine) -> None:
    job = await _lost(engine)
    (lost,) = await PostgresLeases(engine).expired(10)
    assert (lost.id, lost.queue, lost.deadline) == (job.id, job.queue, job.deadline)
    assert [attempt.hold_usd for attempt in lost.attempts] == [HOLD]


async def test_the_longest_silence_comes_first(engine: AsyncEngine) -> None:
    for seconds in (1, 3, 2):
        job = await submitted(engine)
        await claimed(engine, claim_of(job))
        await change(
            engine,
            "UPDATE jobs SET lease_until = now() - CAST(:s AS interval) WHERE id = :id",
            s=f"{seconds} s",
            id=job.id,
        )
    untils = [lost.lease_until for lost in await PostgresLeases(engine).expired(2)]
    assert len(untils) == 2
    assert untils == sorted(untils)


async def test_a_lost_call_is_charged_at_its_hold(engine: AsyncEngine) -> None:
    await _lost(engine)
    sweep, relay = _sweeper(engine)
    assert await sweep() == 1
    assert await rows(engine, _ATTEMPTS) == [("unknown", True, HOLD, "worker_lost")]
    (event,) = (UsageRecorded.model_validate_json(one) for one in _sent_to(relay.rows, "events"))
    assert (event.cost_usd, event.hold_usd, event.assumed, event.is_error) == (
        HOLD,
        HOLD,
        True,
        True,
    )
    assert event.latency_ms == 5000


async def test_a_lost_job_is_queued_again(engine: AsyncEngine) -> None:
    job = await _lost(engine)
    sweep, relay = _sweeper(engine)
    await sweep()
    assert await rows(engine, "SELECT status, lease_owner, cost_usd, failure_count FROM jobs") == [
        ("queued", None, HOLD, 1)
    ]
    (command,) = (CompleteChat.model_validate_json(one) for one in _sent_to(relay.rows, "jobs"))
    first = CompleteChat.model_validate_json(job.command.body)
    same = {"message_id", "occurred_at"}
    assert command.model_dump(exclude=same) == first.model_dump(exclude=same)
    assert command.message_id != first.message_id
    assert (await claimed(engine, claim_of(job, "worker-2"))).number == 2


async def test_a_job_lost_too_often_fails(engine: AsyncEngine) -> None:
    job = await _lost(engine, failures=MAX_FAILED_ATTEMPTS - 1)
    sweep, relay = _sweeper(engine)
    await sweep()
    assert await rows(engine, "SELECT status, error_code FROM jobs") == [("failed", "workers_lost")]
    (body,) = _sent_to(relay.rows, "stream")
    frame = FRAME.validate_json(body)
    assert isinstance(frame, JobFailed)
    assert (frame.job_id, frame.error.code) == (job.id, "workers_lost")
    assert await rows(engine, "SELECT seq, frame FROM deliveries") == [(1, orjson.loads(body))]
    assert _sent_to(relay.rows, "jobs") == []


async def test_a_job_lost_between_its_calls_costs_nothing(engine: AsyncEngine) -> None:
    await _lost(engine)
    await change(engine, "UPDATE attempts SET outcome = 'failed'")
    sweep, relay = _sweeper(engine)
    await sweep()
    assert await rows(engine, "SELECT status, cost_usd, failure_count FROM jobs") == [
        ("queued", Decimal(0), 0)
    ]
    assert _sent_to(relay.rows, "events") == []


async def test_two_sweepers_sweep_once(engine: AsyncEngine, second_engine: AsyncEngine) -> None:
    for _ in range(5):
        await _lost(engine)
    (first, first_relay), (second, second_relay) = _sweeper(engine), _sweeper(second_engine)
    await asyncio.gather(first(), second())
    sent = first_relay.rows + second_relay.rows
    assert len(_sent_to(sent, "events")) == len(_sent_to(sent, "jobs")) == 5
    assert await rows(engine, "SELECT count(*), sum(cost_usd) FROM jobs") == [(5, HOLD * 5)]
    assert await first() == 0


async def test_a_lease_extended_meanwhile_is_left_alone(engine: AsyncEngine) -> None:
    job = await _lost(engine)
    request = claim_of(job)
    leases = PostgresLeases(engine)
    sweep, relay = _sweeper(engine)

    class Extending(PostgresLeases):
        async def expired(self, limit: int) -> Sequence[LostJob]:
            found = await leases.expired(limit)
            await PostgresAttempts(engine).extend_leases(
                request.worker, [job.id], timedelta(seconds=30)
            )
            return found

    await SweepLeases(Extending(engine), relay, SetClock(), RandomIds())()
    assert relay.rows == []
    assert await rows(engine, _ATTEMPTS) == [("running", False, Decimal(0), None)]
    assert await sweep() == 0
