import asyncio
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import orjson
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.domain.claims import PutOff
from shared.domain.ids import JobId
from shared.domain.jobs import Waiting, WaitingReason
from shared.domain.lost_work import Abandonment
from shared.domain.outgoing import DelayedMessage, OutgoingMessage
from shared.domain.views import ErrorView
from shared.domain.work import JobContinues, JobFails, JobWaits, NewJob
from shared.messages.endings import failure
from shared.persistence.engine import create_engine
from shared.persistence.repositories.attempts import PostgresAttempts
from shared.persistence.repositories.leases import PostgresLeases
from tests.support.chat_jobs import (
    COST,
    HOLD,
    NOW,
    SUCCEEDS,
    change,
    claim_of,
    claimed,
    further,
    new_chat_job,
    of_user,
    rows,
    settlement_of,
    submitted,
)

_JOB = (
    "SELECT status, cost_usd, failure_count, lease_owner, lease_until, input_tokens, output_tokens "
    "FROM jobs"
)
_FAILS = JobFails(ErrorView("provider_unavailable", "nobody answered"))


async def test_success_stores_result_money_and_messages_together(engine: AsyncEngine) -> None:
    job = await submitted(engine)
    request = claim_of(job)
    await claimed(engine, request)
    settlement = settlement_of(job, request)
    settled = await PostgresAttempts(engine).settle(settlement)
    assert settled.applied
    assert [row.message for row in settled.outbox] == [m.message for m in settlement.messages]
    assert await rows(engine, _JOB) == [("succeeded", COST, 0, None, None, 10, 5)]
    assert await rows(engine, "SELECT result FROM job_contents") == [(SUCCEEDS.result_json,)]
    assert await rows(engine, "SELECT outcome, cost_usd, latency_ms FROM attempts") == [
        ("succeeded", COST, 7)
    ]


async def test_the_terminal_frame_is_delivered(engine: AsyncEngine) -> None:
    job = await submitted(engine)
    request = claim_of(job)
    await claimed(engine, request)
    settlement = settlement_of(job, request)
    await PostgresAttempts(engine).settle(settlement)
    assert settlement.terminal_frame is not None
    assert await rows(engine, "SELECT user_id, seq, job_id, frame FROM deliveries") == [
        (job.caller.user_id, 1, job.id, orjson.loads(settlement.terminal_frame))
    ]


async def test_failure_stores_its_error(engine: AsyncEngine) -> None:
    job = await submitted(engine)
    request = claim_of(job)
    await claimed(engine, request)
    await PostgresAttempts(engine).settle(settlement_of(job, request, _FAILS))
    assert await rows(
        engine, "SELECT status, error_code, error_message, failure_count FROM jobs"
    ) == [("failed", "provider_unavailable", "nobody answered", 1)]
    assert await rows(engine, _JOB) == [("failed", COST, 1, None, None, 0, 0)]


async def test_a_job_that_continues_stays_with_its_worker(engine: AsyncEngine) -> None:
    job = await submitted(engine)
    request = claim_of(job)
    await claimed(engine, request)
    settled = await PostgresAttempts(engine).settle(settlement_of(job, request, JobContinues()))
    assert settled.applied
    owners = await rows(engine, "SELECT status, lease_owner, lease_until > now() FROM jobs")
    assert owners == [("running", request.worker, True)]
    assert await rows(engine, "SELECT * FROM deliveries") == []


async def test_a_job_that_waits_says_why(engine: AsyncEngine) -> None:
    job = await submitted(engine)
    request = claim_of(job)
    await claimed(engine, request)
    waiting = Waiting(WaitingReason.PROVIDER_COOLDOWN, NOW, "until the provider answers")
    await PostgresAttempts(engine).settle(settlement_of(job, request, JobWaits(waiting)))
    assert await rows(
        engine,
        "SELECT status, lease_owner, waiting_reason, waiting_until, waiting_detail FROM jobs",
    ) == [("queued", None, "provider_cooldown", NOW, "until the provider answers")]


async def test_costs_of_all_attempts_add_up(engine: AsyncEngine) -> None:
    job = await submitted(engine)
    first = claim_of(job)
    await claimed(engine, first)
    attempts = PostgresAttempts(engine)
    await attempts.settle(settlement_of(job, first, JobContinues(), cost_usd=Decimal("0.001")))
    second = further(first)
    await claimed(engine, second)
    await attempts.settle(settlement_of(job, second, cost_usd=Decimal("0.0000000002")))
    assert await rows(engine, "SELECT cost_usd FROM jobs") == [(Decimal("0.0010000002"),)]


async def test_settling_twice_changes_nothing(engine: AsyncEngine) -> None:
    job = await submitted(engine)
    request = claim_of(job)
    await claimed(engine, request)
    settlement = settlement_of(job, request)
    attempts = PostgresAttempts(engine)
    await attempts.settle(settlement)
    before = await rows(engine, "SELECT count(*), max(id) FROM outbox")
    again = await attempts.settle(settlement)
    assert (again.applied, again.outbox) == (False, ())
    assert await rows(engine, "SELECT count(*), max(id) FROM outbox") == before
    assert await rows(engine, _JOB) == [("succeeded", COST, 0, None, None, 10, 5)]
    assert await rows(engine, "SELECT last_seq FROM client_cursors") == [(1,)]


async def test_settling_after_the_lease_was_lost_changes_nothing(engine: AsyncEngine) -> None:
    job = await submitted(engine)
    request = claim_of(job)
    await claimed(engine, request)
    await change(engine, "UPDATE jobs SET lease_until = now() - interval '1 s'")
    leases = PostgresLeases(engine)
    (lost,) = await leases.expired(10)
    await leases.abandon(Abandonment(lost, JobWaits(), [DelayedMessage(job.command)]))
    before = await rows(engine, _JOB), await rows(engine, "SELECT * FROM outbox ORDER BY id")
    settled = await PostgresAttempts(engine).settle(settlement_of(job, request))
    assert (settled.applied, settled.outbox) == (False, ())
    after = await rows(engine, _JOB), await rows(engine, "SELECT * FROM outbox ORDER BY id")
    assert after == before
    assert await rows(engine, "SELECT outcome, cost_usd FROM attempts") == [("unknown", HOLD)]


async def test_nobody_settles_another_workers_attempt(engine: AsyncEngine) -> None:
    job = await submitted(engine)
    mine, other = claim_of(job, "worker-1"), claim_of(job, "worker-2")
    await claimed(engine, mine)
    settlement = settlement_of(job, other)
    assert not (await PostgresAttempts(engine).settle(settlement)).applied


async def test_a_settling_worker_is_alive(engine: AsyncEngine) -> None:
    """A sweeper that saw the lease end just before must not charge what has been settled."""
    job = await submitted(engine)
    request = claim_of(job)
    await claimed(engine, request)
    await change(engine, "UPDATE jobs SET lease_until = now() - interval '1 s'")
    leases = PostgresLeases(engine)
    (lost,) = await leases.expired(10)
    await PostgresAttempts(engine).settle(settlement_of(job, request, JobContinues()))
    abandoned = await leases.abandon(Abandonment(lost, JobWaits(), [DelayedMessage(job.command)]))
    assert abandoned == []
    assert await rows(engine, "SELECT outcome, cost_usd FROM attempts") == [("succeeded", COST)]


async def test_settling_and_sweeping_at_once_agree(
    engine: AsyncEngine, second_engine: AsyncEngine
) -> None:
    jobs = [await submitted(engine) for _ in range(30)]
    requests = [claim_of(job) for job in jobs]
    await asyncio.gather(*(PostgresAttempts(engine).claim(request) for request in requests))
    await change(engine, "UPDATE jobs SET lease_until = now() - interval '1 s'")
    leases, attempts = PostgresLeases(second_engine), PostgresAttempts(engine)
    lost = await leases.expired(100)
    settled, swept = await asyncio.gather(
        asyncio.gather(
            *(attempts.settle(settlement_of(j, r)) for j, r in zip(jobs, requests, strict=True))
        ),
        asyncio.gather(
            *(
                leases.abandon(Abandonment(one, JobWaits(), [DelayedMessage(_back(one.id))]))
                for one in lost
            )
        ),
    )
    assert sum(one.applied for one in settled) + sum(len(one) for one in swept) == 30
    disagreeing = await rows(
        engine,
        "SELECT j.status, a.outcome FROM jobs j JOIN attempts a ON a.job_id = j.id "
        "WHERE (j.status, a.outcome) NOT IN (('succeeded', 'succeeded'), ('queued', 'unknown'))",
    )
    assert disagreeing == []


async def test_a_users_deliveries_have_no_gap(database_url: str, engine: AsyncEngine) -> None:
    users = [of_user("user-1"), of_user("user-2")]
    jobs = [await submitted(engine, new_chat_job(users[n % 2])) for n in range(40)]
    workers = [create_engine(database_url, pool_size=2) for _ in range(4)]
    try:
        await asyncio.gather(
            *(_finished(one, f"worker-{n}", jobs[n::4]) for n, one in enumerate(workers))
        )
    finally:
        await asyncio.gather(*(one.dispose() for one in workers))
    for user in users:
        seqs = await rows(
            engine, "SELECT seq FROM deliveries WHERE user_id = :u ORDER BY seq", u=user.user_id
        )
        assert [seq for (seq,) in seqs] == [*range(1, 21)]


async def _finished(engine: AsyncEngine, worker: str, jobs: list[NewJob]) -> None:
    attempts = PostgresAttempts(engine)

    async def finish(job: NewJob) -> None:
        request = claim_of(job, worker)
        await attempts.claim(request)
        assert (await attempts.settle(settlement_of(job, request))).applied

    await asyncio.gather(*(finish(job) for job in jobs))


async def test_messages_of_later_stay_in_the_outbox(engine: AsyncEngine) -> None:
    job = await submitted(engine)
    request = claim_of(job)
    await claimed(engine, request)
    settlement = settlement_of(job, request, JobWaits())
    later = DelayedMessage(job.command, available_at=NOW)
    settlement = replace(settlement, messages=[*settlement.messages, later])
    settled = await PostgresAttempts(engine).settle(settlement)
    assert [row.message.message_id for row in settled.outbox] == [request.attempt_id]
    assert await rows(engine, "SELECT body FROM outbox WHERE available_at = :at", at=NOW) == [
        (job.command.body,)
    ]


async def test_a_job_is_given_back_by_its_holder_only(engine: AsyncEngine) -> None:
    job = await submitted(engine)
    request = claim_of(job)
    await claimed(engine, request)
    attempts = PostgresAttempts(engine)
    await attempts.settle(settlement_of(job, request, JobContinues()))
    assert not (
        await attempts.put_off(PutOff(job.id, "worker-2", DelayedMessage(job.command)))
    ).applied
    given = await attempts.put_off(PutOff(job.id, request.worker, DelayedMessage(job.command)))
    assert given.applied
    assert [row.message for row in given.outbox] == [job.command]
    assert await rows(engine, "SELECT status, lease_owner FROM jobs") == [("queued", None)]


async def test_a_job_given_back_for_later_stays_in_the_outbox(engine: AsyncEngine) -> None:
    job = await submitted(engine)
    request = claim_of(job)
    await claimed(engine, request)
    attempts = PostgresAttempts(engine)
    await attempts.settle(settlement_of(job, request, JobContinues()))
    later = DelayedMessage(job.command, available_at=NOW + timedelta(hours=1))
    given = await attempts.put_off(PutOff(job.id, request.worker, later))
    assert (given.applied, given.outbox) == (True, ())


def _back(job_id: JobId) -> OutgoingMessage:
    return failure(job_id, "back", "again")
