"""kill -9 of the embedding worker around its call and its commit; another worker takes over."""

import pytest
from pydantic import JsonValue

from tests.chaos.dying import Point
from tests.support.books import balanced_books
from tests.support.stack_client import StackClient
from tests.support.stacks import RunningStack, extra_process

pytestmark = [pytest.mark.chaos, pytest.mark.usefixtures("aggregator")]

# More than one call takes, so that a worker dies with a part of its job done.
TEXTS = [f"text number {number}" for number in range(150)]
CALLS = 2


@pytest.mark.parametrize(
    ("point", "lost"),
    [(Point.DURING_CALL, 1), (Point.AFTER_CALL, 1), (Point.AFTER_SETTLE, 0)],
)
async def test_an_embedding_worker_that_dies_keeps_the_batches_it_has_settled(
    crash_stack: RunningStack, client: StackClient, point: Point, lost: int
) -> None:
    async with extra_process(
        crash_stack, "embedding-dying", "tests.chaos.crashing_embedding", point
    ) as dying:
        job_id = await client.embed(TEXTS)
        assert await dying.kills_itself_within(20)
    async with extra_process(crash_stack, "embedding-1", "services.embedding_worker.main"):
        job = await client.finished(job_id)
        books = await balanced_books(crash_stack, client, [job_id])
    assert job.status == "succeeded", job
    assert _positions(job.result) == list(range(len(TEXTS)))
    outcomes = books.outcomes(job_id)
    assert outcomes.count("succeeded") == CALLS
    assert outcomes.count("unknown") == lost


def _positions(result: JsonValue) -> list[JsonValue]:
    assert isinstance(result, dict), result
    data = result["data"]
    assert isinstance(data, list), result
    return [one["index"] for one in data if isinstance(one, dict)]
