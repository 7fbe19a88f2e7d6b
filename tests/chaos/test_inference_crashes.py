"""kill -9 of the inference worker at every point of a job's life; another worker takes over."""

import pytest

from tests.chaos.dying import Point
from tests.support.books import balanced_books
from tests.support.stack_client import StackClient, right_answer, text_of
from tests.support.stacks import RunningStack, extra_process

pytestmark = [pytest.mark.chaos, pytest.mark.usefixtures("aggregator")]

ONE_CALL = ["succeeded"]
PAID_TWICE = ["unknown", "succeeded"]


@pytest.mark.parametrize(
    ("point", "outcomes", "calls_billed"),
    [
        (Point.BEFORE_CLAIM, ONE_CALL, 1),
        (Point.AFTER_CLAIM, PAID_TWICE, 1),
        (Point.DURING_CALL, PAID_TWICE, 2),
        (Point.AFTER_CALL, PAID_TWICE, 2),
        (Point.AFTER_SETTLE, ONE_CALL, 1),
        (Point.AFTER_PUBLISH, ONE_CALL, 1),
        (Point.BEFORE_ACK, ONE_CALL, 1),
    ],
)
async def test_a_worker_that_dies_loses_nothing_and_doubles_nothing(
    crash_stack: RunningStack,
    client: StackClient,
    point: Point,
    outcomes: list[str],
    calls_billed: int,
) -> None:
    billed_before = len((await client.bill()).data)
    prompt = f"What happens {point} of a job?"
    if point is Point.DURING_CALL:
        await client.misbehave("cloudflare", tokens_per_second=20)
    async with extra_process(
        crash_stack, "inference-dying", "tests.chaos.crashing_inference", point
    ) as dying:
        job_id = await client.submit(prompt)
        assert await dying.kills_itself_within(20)
    await client.behave()
    async with extra_process(crash_stack, "inference-1", "services.inference_worker.main"):
        job = await client.finished(job_id)
        books = await balanced_books(crash_stack, client, [job_id])
    assert (job.status, text_of(job)) == ("succeeded", right_answer(prompt))
    assert books.outcomes(job_id) == outcomes
    assert [one.number for one in job.attempts] == list(range(1, len(outcomes) + 1))
    assert job.cost_usd == sum(one.cost_usd for one in job.attempts)
    assert len((await client.bill()).data) - billed_before == calls_billed
