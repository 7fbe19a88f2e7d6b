from services.api.use_cases.watching import Missed, Received, Watch
from shared.domain.ids import JobId
from shared.messages.frames import JobExpired

ONE = Received(JobExpired(job_id=JobId("job_1")), b"{}")


async def test_a_watcher_that_must_leave_is_not_called_back() -> None:
    watch = Watch(most_buffered=1)
    watch.miss(Missed.CLOSED)
    watch.offer(ONE)
    watch.offer(ONE)
    assert await watch.next(0) is Missed.CLOSED


async def test_more_may_wait_for_a_reader_that_has_come() -> None:
    watch = Watch(most_buffered=1)
    watch.begin()
    watch.offer(ONE)
    watch.offer(ONE)
    assert [await watch.next(0), await watch.next(0)] == [ONE, ONE]
