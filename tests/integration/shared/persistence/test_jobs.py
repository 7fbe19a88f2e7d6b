import asyncio
from dataclasses import replace

import pytest
from psycopg.errors import UniqueViolation
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.domain.ids import JobId, UserId
from shared.domain.jobs import JobStatus
from shared.domain.work import IdempotencyConflict, NewJob, Submitted
from shared.messages.endings import ending, failure
from shared.messages.frames import JobCancelled
from shared.persistence.repositories.attempts import PostgresAttempts
from shared.persistence.repositories.jobs import PostgresJobs
from tests.support.chat_jobs import (
    USER,
    claim_of,
    claimed,
    new_chat_job,
    of_user,
    rows,
    settlement_of,
    submitted,
)

_AWKWARD = """Quotes ' " \\ $1 :name %s {} [] 漢字 🦆 \u200b é\ttab\nline"""


def _twins(key: str, count: int, prompt: str = "same") -> list[NewJob]:
    return [new_chat_job(key=key, prompt=prompt) for _ in range(count)]


async def test_a_submission_commits_the_job_and_its_command_together(engine: AsyncEngine) -> None:
    job = new_chat_job()
    outcome = await PostgresJobs(engine).submit(job)
    assert isinstance(outcome, Submitted)
    assert outcome.outbox is not None
    stored = await rows(engine, "SELECT j.xmin = o.xmin, o.id, body FROM jobs j, outbox o")
    assert [(same, row_id, body) for same, row_id, body in stored] == [
        (True, outcome.outbox.id, job.command.body)
    ]


async def test_awkward_text_comes_back_as_it_went_in(engine: AsyncEngine) -> None:
    job = await submitted(engine, new_chat_job(prompt=_AWKWARD))
    claim = await claimed(engine, claim_of(job))
    assert claim.request_json == job.request_json


async def test_the_same_key_and_body_again_is_the_first_job(engine: AsyncEngine) -> None:
    first, second = _twins("key", 2)
    jobs = PostgresJobs(engine)
    await jobs.submit(first)
    assert await jobs.submit(second) == Submitted(first.id, None)
    assert await rows(engine, "SELECT count(*) FROM outbox") == [(1,)]


async def test_the_same_key_with_another_body_is_a_conflict(engine: AsyncEngine) -> None:
    first, second = new_chat_job(key="key", prompt="one"), new_chat_job(key="key", prompt="two")
    jobs = PostgresJobs(engine)
    await jobs.submit(first)
    assert await jobs.submit(second) == IdempotencyConflict(first.id)


async def test_keys_belong_to_their_users(engine: AsyncEngine) -> None:
    mine = await submitted(engine, new_chat_job(key="key"))
    other = new_chat_job(of_user("user-2"), key="key")
    outcome = await PostgresJobs(engine).submit(other)
    assert isinstance(outcome, Submitted)
    assert (outcome.job_id, outcome.outbox is None) == (other.id, False)
    assert outcome.job_id != mine.id


async def test_concurrent_twins_of_one_process_become_one_job(engine: AsyncEngine) -> None:
    jobs = PostgresJobs(engine)
    outcomes = await asyncio.gather(*(jobs.submit(job) for job in _twins("key", 20)))
    assert len({outcome.job_id for outcome in outcomes}) == 1
    assert sum(isinstance(o, Submitted) and o.outbox is not None for o in outcomes) == 1


async def test_concurrent_twins_of_two_processes_become_one_job(
    engine: AsyncEngine, second_engine: AsyncEngine
) -> None:
    replicas = [PostgresJobs(engine), PostgresJobs(second_engine)]
    outcomes = await asyncio.gather(
        *(
            replicas[position % 2].submit(twin)
            for key in range(10)
            for position, twin in enumerate(_twins(f"key-{key}", 4))
        )
    )
    assert len({outcome.job_id for outcome in outcomes}) == 10
    assert sum(isinstance(o, Submitted) and o.outbox is not None for o in outcomes) == 10


async def test_a_job_that_cannot_be_stored_harms_no_other(engine: AsyncEngine) -> None:
    taken = await submitted(engine)
    again, good = replace(new_chat_job(), id=taken.id), new_chat_job()
    jobs = PostgresJobs(engine)
    outcomes = await asyncio.gather(jobs.submit(again), jobs.submit(good), return_exceptions=True)
    assert isinstance(outcomes[0], UniqueViolation)
    assert isinstance(outcomes[1], Submitted)


async def test_a_text_that_cannot_be_encoded_harms_no_other(engine: AsyncEngine) -> None:
    broken, good = replace(new_chat_job(), model="\ud800"), new_chat_job()
    jobs = PostgresJobs(engine)
    outcomes = await asyncio.gather(jobs.submit(broken), jobs.submit(good), return_exceptions=True)
    assert isinstance(outcomes[0], TypeError)
    assert isinstance(outcomes[1], Submitted)


async def test_a_job_is_seen_by_its_owner_only(engine: AsyncEngine) -> None:
    job = await submitted(engine)
    jobs = PostgresJobs(engine)
    view = await jobs.get(job.id, USER)
    assert view is not None
    assert (view.id, view.status, view.attempts) == (job.id, JobStatus.QUEUED, [])
    assert await jobs.get(job.id, UserId("user-2")) is None
    assert await jobs.get(JobId("job_unknown"), USER) is None


async def test_a_finished_job_shows_its_result_and_attempts(engine: AsyncEngine) -> None:
    job = await submitted(engine)
    request = claim_of(job)
    await claimed(engine, request)
    settlement = settlement_of(job, request)
    await PostgresAttempts(engine).settle(settlement)
    view = await PostgresJobs(engine).get(job.id, USER)
    assert view is not None
    assert (view.status, view.provider, view.cost_usd) == (
        JobStatus.SUCCEEDED,
        request.provider,
        settlement.result.cost_usd,
    )
    assert [(a.id, a.number, a.cost_usd) for a in view.attempts] == [
        (request.attempt_id, 1, settlement.result.cost_usd)
    ]


async def test_lists_go_back_in_time_page_by_page(engine: AsyncEngine) -> None:
    made = [(await submitted(engine)).id for _ in range(5)]
    jobs = PostgresJobs(engine)
    first = await jobs.list_of_user(USER, status=None, limit=2, after=None)
    second = await jobs.list_of_user(USER, status=None, limit=9, after=first[-1].id)
    newest_first = sorted(made, reverse=True)
    assert [view.id for view in (*first, *second)] == newest_first


async def test_lists_can_be_narrowed_to_a_status(engine: AsyncEngine) -> None:
    waiting, running = await submitted(engine), await submitted(engine)
    await claimed(engine, claim_of(running))
    jobs = PostgresJobs(engine)
    queued = await jobs.list_of_user(USER, status="queued", limit=9, after=None)
    assert [view.id for view in queued] == [waiting.id]


async def test_a_queued_job_can_be_cancelled_once(engine: AsyncEngine) -> None:
    job = await submitted(engine)
    frame = ending(JobCancelled(job_id=job.id))
    jobs = PostgresJobs(engine)
    cancelled = await jobs.cancel(job.id, USER, frame)
    assert cancelled is not None
    assert [row.message for row in cancelled] == [frame]
    assert await jobs.cancel(job.id, USER, frame) is None
    assert await rows(engine, "SELECT seq, frame ->> 'type' FROM deliveries") == [
        (1, "job.cancelled")
    ]


async def test_a_running_job_cannot_be_cancelled(engine: AsyncEngine) -> None:
    job = await submitted(engine)
    await claimed(engine, claim_of(job))
    frame = ending(JobCancelled(job_id=job.id))
    assert await PostgresJobs(engine).cancel(job.id, USER, frame) is None


async def test_nobody_cancels_anothers_job(engine: AsyncEngine) -> None:
    job = await submitted(engine)
    frame = ending(JobCancelled(job_id=job.id))
    jobs = PostgresJobs(engine)
    assert await jobs.cancel(job.id, UserId("user-2"), frame) is None
    view = await jobs.get(job.id, USER)
    assert view is not None
    assert view.status is JobStatus.QUEUED


async def test_a_late_joiner_reads_the_text_so_far(engine: AsyncEngine) -> None:
    job = await submitted(engine)
    request = claim_of(job)
    await claimed(engine, request)
    attempts, jobs = PostgresAttempts(engine), PostgresJobs(engine)
    await attempts.checkpoint(job.id, request.attempt_id, 1, "Hel")
    await attempts.checkpoint(job.id, request.attempt_id, 1, "Hello")
    state = await jobs.stream_state(job.id, USER)
    assert state is not None
    assert (state.attempt_number, state.text) == (1, "Hello")


async def test_a_checkpoint_after_the_settlement_is_ignored(engine: AsyncEngine) -> None:
    job = await submitted(engine)
    request = claim_of(job)
    await claimed(engine, request)
    attempts = PostgresAttempts(engine)
    await attempts.checkpoint(job.id, request.attempt_id, 1, "Hel")
    await attempts.settle(settlement_of(job, request))
    await attempts.checkpoint(job.id, request.attempt_id, 1, "Hello")
    assert await rows(engine, "SELECT * FROM answer_checkpoints") == []


async def test_an_impossible_job_fails_unpaid(engine: AsyncEngine) -> None:
    job = await submitted(engine)
    frame = failure(job.id, "unknown_model", "no such model")
    outbox = await PostgresAttempts(engine).fail_unstarted(
        job.id, "unknown_model", "no such model", frame
    )
    assert [row.message for row in outbox] == [frame]
    view = await PostgresJobs(engine).get(job.id, USER)
    assert view is not None
    assert view.error is not None
    assert (view.status, view.error.code) == (JobStatus.FAILED, "unknown_model")
    assert view.cost_usd == 0


async def test_a_job_that_has_ended_does_not_end_again(engine: AsyncEngine) -> None:
    job = await submitted(engine)
    attempts = PostgresAttempts(engine)
    frame = failure(job.id, "late", "too late")
    assert len(await attempts.expire(job.id, frame)) == 1
    assert await attempts.expire(job.id, frame) == []
    assert await attempts.fail_unstarted(job.id, "late", "too late", frame) == []


@pytest.mark.parametrize("end", ["job_unknown", ""])
async def test_unknown_jobs_end_nowhere(engine: AsyncEngine, end: str) -> None:
    frame = failure(JobId(end), "late", "too late")
    assert await PostgresAttempts(engine).expire(JobId(end), frame) == []
