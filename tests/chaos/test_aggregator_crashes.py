"""kill -9 of the cost aggregator while it books, and while it sweeps a dead worker's lease."""

import pytest
from pydantic import JsonValue

from tests.chaos.crashing_aggregator import Point
from tests.chaos.dying import Point as WorkerPoint
from tests.support.books import balanced_books
from tests.support.replay_server import ReplayServer, Reply, replay_server
from tests.support.stack_client import StackClient, right_answer, text_of
from tests.support.stacks import RunningStack, extra_process
from tests.support.waiting import wait_until

pytestmark = pytest.mark.chaos

AGGREGATOR = "services.cost_aggregator.main"
WORKER = "services.inference_worker.main"


@pytest.mark.parametrize("point", [Point.BEFORE_BOOKING, Point.AFTER_BOOKING])
async def test_an_event_is_booked_once_when_its_booking_dies(
    crash_stack: RunningStack, client: StackClient, point: Point
) -> None:
    async with (
        extra_process(crash_stack, "inference-1", WORKER),
        extra_process(
            crash_stack, "aggregator-dying", "tests.chaos.crashing_aggregator", point
        ) as dying,
    ):
        job = await client.finished(await client.submit(f"Am I booked {point}?"))
        assert await dying.kills_itself_within(20)
    async with extra_process(crash_stack, "aggregator-1", AGGREGATOR):
        books = await balanced_books(crash_stack, client, [job.id])
    assert (job.status, books.outcomes(job.id)) == ("succeeded", ["succeeded"])


async def test_an_alert_arrives_once_when_the_aggregator_that_fired_it_dies(
    crash_stack: RunningStack, client: StackClient
) -> None:
    threshold: JsonValue = {"at_usd": "0.000000001", "action": "alert"}
    await client.put_budget("tier:premium", {"window": "day", "thresholds": [threshold]})
    async with replay_server() as webhook:
        webhook.replies = [Reply((b"{}",))]
        told = {"SLUICEWAY_ALERT_URLS": f"json://127.0.0.1:{webhook.port}"}
        async with (
            extra_process(crash_stack, "inference-1", WORKER),
            extra_process(
                crash_stack,
                "aggregator-dying",
                "tests.chaos.crashing_aggregator",
                Point.AFTER_BOOKING,
                **told,
            ) as dying,
        ):
            job_id = await client.submit("Who pays for this?", tier="premium")
            assert await dying.kills_itself_within(20)
            await client.finished(job_id, tier="premium")
        assert _alerts_of("tier:premium", webhook) == 0
        async with extra_process(crash_stack, "aggregator-1", AGGREGATOR, **told):
            await wait_until(lambda: _alerts_of("tier:premium", webhook) > 0, 30)
            await balanced_books(crash_stack, client, [job_id])
        assert _alerts_of("tier:premium", webhook) == 1


def _alerts_of(scope: str, webhook: ReplayServer) -> int:
    return sum(f"budget {scope}".encode() in request.body for request in webhook.requests)


@pytest.mark.parametrize("point", [Point.BEFORE_ABANDONING, Point.AFTER_ABANDONING])
async def test_a_lost_job_comes_back_when_its_sweeper_dies_too(
    crash_stack: RunningStack, client: StackClient, point: Point
) -> None:
    prompt = f"Who brings me back {point}?"
    async with extra_process(
        crash_stack, "inference-dying", "tests.chaos.crashing_inference", WorkerPoint.AFTER_CALL
    ) as worker:
        job_id = await client.submit(prompt)
        assert await worker.kills_itself_within(20)
    async with extra_process(
        crash_stack, "aggregator-dying", "tests.chaos.crashing_aggregator", point
    ) as sweeper:
        assert await sweeper.kills_itself_within(20)
    async with (
        extra_process(crash_stack, "aggregator-1", AGGREGATOR),
        extra_process(crash_stack, "inference-1", WORKER),
    ):
        job = await client.finished(job_id)
        books = await balanced_books(crash_stack, client, [job_id])
    assert (job.status, text_of(job)) == ("succeeded", right_answer(prompt))
    assert books.outcomes(job_id) == ["unknown", "succeeded"]
