import asyncio
from collections.abc import AsyncGenerator
from datetime import timedelta

import pytest

from shared.domain.errors import DatabaseUnavailableError
from shared.domain.ids import JobId
from shared.messaging.in_flight import InFlightJobs
from tests.support.fakes_of_chat import RecordingAttempts
from tests.support.waiting import wait_until

_JOB = JobId("job_1")


class Work:
    """Work that ends when a test says so."""

    def __init__(self) -> None:
        self.begun = 0
        self.done = asyncio.Event()
        self.error: Exception | None = None

    async def __call__(self) -> None:
        self.begun += 1
        await self.done.wait()
        if self.error is not None:
            raise self.error


@pytest.fixture
def attempts() -> RecordingAttempts:
    return RecordingAttempts()


@pytest.fixture
async def jobs(attempts: RecordingAttempts) -> AsyncGenerator[InFlightJobs]:
    jobs = InFlightJobs(attempts, worker="worker-1", lease=timedelta(seconds=0.03))
    yield jobs
    await jobs.drain()


async def test_work_is_waited_for(jobs: InFlightJobs) -> None:
    work = Work()
    work.done.set()
    await jobs.run(_JOB, work)
    await wait_until(lambda: jobs.is_empty)
    assert work.begun == 1


async def test_a_second_delivery_joins_the_work_under_way(jobs: InFlightJobs) -> None:
    work = Work()
    deliveries = [asyncio.create_task(jobs.run(_JOB, work)) for _ in range(3)]
    await wait_until(lambda: work.begun == 1)
    work.done.set()
    await asyncio.gather(*deliveries)
    assert work.begun == 1


async def test_a_cancelled_delivery_leaves_the_work_running(jobs: InFlightJobs) -> None:
    work = Work()
    delivery = asyncio.create_task(jobs.run(_JOB, work))
    await wait_until(lambda: work.begun == 1)
    delivery.cancel()
    with pytest.raises(asyncio.CancelledError):
        await delivery
    assert not jobs.is_empty
    again = asyncio.create_task(jobs.run(_JOB, work))
    work.done.set()
    await again
    assert work.begun == 1


async def test_work_that_fails_tells_every_delivery(jobs: InFlightJobs) -> None:
    work = Work()
    work.error = DatabaseUnavailableError("away")
    deliveries = [asyncio.create_task(jobs.run(_JOB, work)) for _ in range(2)]
    await wait_until(lambda: work.begun == 1)
    work.done.set()
    outcomes = await asyncio.gather(*deliveries, return_exceptions=True)
    assert outcomes == [work.error] * 2
    await wait_until(lambda: jobs.is_empty)


async def test_finished_work_can_begin_again(jobs: InFlightJobs) -> None:
    work = Work()
    work.done.set()
    await jobs.run(_JOB, work)
    await wait_until(lambda: jobs.is_empty)
    await jobs.run(_JOB, work)
    assert work.begun == 2


async def test_leases_of_running_work_are_extended(
    jobs: InFlightJobs, attempts: RecordingAttempts
) -> None:
    jobs.start()
    assert jobs.is_alive
    work = Work()
    delivery = asyncio.create_task(jobs.run(_JOB, work))
    await wait_until(lambda: len(attempts.extended) >= 2)
    assert attempts.extended[0] == [_JOB]
    work.done.set()
    await delivery


async def test_an_absent_database_does_not_end_the_extending(
    jobs: InFlightJobs, attempts: RecordingAttempts
) -> None:
    attempts.is_away = True
    jobs.start()
    work = Work()
    delivery = asyncio.create_task(jobs.run(_JOB, work))
    await wait_until(lambda: work.begun == 1)
    attempts.is_away = False
    await wait_until(lambda: bool(attempts.extended))
    work.done.set()
    await delivery


async def test_draining_waits_for_work_whose_delivery_is_gone(jobs: InFlightJobs) -> None:
    jobs.start()
    work = Work()
    delivery = asyncio.create_task(jobs.run(_JOB, work))
    await wait_until(lambda: work.begun == 1)
    delivery.cancel()
    draining = asyncio.create_task(jobs.drain())
    await asyncio.wait([draining], timeout=0.05)
    assert not draining.done()
    work.done.set()
    await draining
    assert jobs.is_empty
    assert not jobs.is_alive
