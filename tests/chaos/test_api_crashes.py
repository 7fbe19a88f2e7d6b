"""kill -9 of an API while it accepts a job: the client repeats its request elsewhere."""

from contextlib import suppress

import httpx
import pytest

from tests.chaos.crashing_api import Point
from tests.support.books import balanced_books
from tests.support.stack_client import StackClient, right_answer, text_of
from tests.support.stacks import RunningStack, extra_process

pytestmark = [pytest.mark.chaos, pytest.mark.usefixtures("aggregator", "worker")]


@pytest.mark.parametrize("point", list(Point))
async def test_a_request_repeated_after_a_crash_is_one_job_paid_once(
    crash_stack: RunningStack, client: StackClient, point: Point
) -> None:
    prompt = f"Who accepted me {point}?"
    async with extra_process(crash_stack, "api-dying", "tests.chaos.crashing_api", point) as dying:
        with suppress(httpx.TransportError):
            await client.submit(prompt, key=f"once-{point}", api=dying.url)
        assert await dying.kills_itself_within(20)
    known = crash_stack.rows(f"SELECT id FROM jobs WHERE idempotency_key = 'once-{point}'")  # noqa: S608 - our own words
    job_id = await client.submit(prompt, key=f"once-{point}")
    job = await client.finished(job_id)
    books = await balanced_books(crash_stack, client, [job_id])
    assert known == ([] if point is Point.BEFORE_COMMIT else [(job_id,)])
    assert (job.status, text_of(job)) == ("succeeded", right_answer(prompt))
    assert books.outcomes(job_id) == ["succeeded"]
