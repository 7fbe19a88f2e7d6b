"""Whatever happens to a job, in whatever order: it moves only as the domain allows."""

import asyncio
from enum import StrEnum

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.domain.claims import Claimed, ClaimRequest
from shared.domain.jobs import FINAL_STATUSES, JobStatus, may_follow
from shared.domain.views import ErrorView
from shared.domain.work import JobContinues, JobFails, JobStep, JobSucceeds, JobWaits, NewJob
from shared.messages.endings import failure
from shared.persistence.engine import create_engine
from shared.persistence.repositories.attempts import PostgresAttempts
from shared.persistence.repositories.jobs import PostgresJobs
from tests.support.chat_jobs import claim_of, new_chat_job, rows, settlement_of, submitted


class Step(StrEnum):
    """What may happen to a job."""

    CLAIM = "claim"
    CLAIM_ELSEWHERE = "claim elsewhere"
    SUCCEED = "succeed"
    FAIL = "fail"
    CONTINUE = "continue"
    WAIT = "wait"
    CANCEL = "cancel"
    EXPIRE = "expire"


_JOB_STEPS: dict[Step, JobStep] = {
    Step.SUCCEED: JobSucceeds("{}"),
    Step.FAIL: JobFails(ErrorView("refused", "for a test")),
    Step.CONTINUE: JobContinues(),
    Step.WAIT: JobWaits(),
}


@given(st.lists(st.sampled_from(Step), min_size=1, max_size=8))
@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_a_job_moves_only_as_the_domain_allows(database_url: str, steps: list[Step]) -> None:
    asyncio.run(_check(database_url, steps))


async def _check(database_url: str, steps: list[Step]) -> None:
    engine = create_engine(database_url, 2)
    try:
        job = await submitted(engine, new_chat_job())
        status, opened = JobStatus.QUEUED, list[ClaimRequest]()
        for step in steps:
            await _take(engine, job, step, opened)
            following = await _status(engine, job)
            assert following is status or may_follow(status, following), (step, status, following)
            status = following
        deliveries = await rows(engine, "SELECT 1 FROM deliveries WHERE job_id = :id", id=job.id)
        assert len(deliveries) == int(status in FINAL_STATUSES)
    finally:
        await engine.dispose()


async def _take(engine: AsyncEngine, job: NewJob, step: Step, opened: list[ClaimRequest]) -> None:
    attempts = PostgresAttempts(engine)
    frame = failure(job.id, "ended", "for a test")
    if step is Step.CLAIM or step is Step.CLAIM_ELSEWHERE:
        worker = "worker-1" if step is Step.CLAIM else "worker-2"
        request = claim_of(job, worker)
        if isinstance(await attempts.claim(request), Claimed):
            opened.append(request)
    elif step is Step.CANCEL:
        await PostgresJobs(engine).cancel(job.id, job.caller.user_id, frame)
    elif step is Step.EXPIRE:
        await attempts.expire(job.id, frame)
    else:
        # Also an attempt that was settled before: a second settlement changes nothing.
        for request in opened[-2:]:
            await attempts.settle(settlement_of(job, request, _JOB_STEPS[step]))


async def _status(engine: AsyncEngine, job: NewJob) -> JobStatus:
    ((status,),) = await rows(engine, "SELECT status FROM jobs WHERE id = :id", id=job.id)
    return JobStatus(str(status))
