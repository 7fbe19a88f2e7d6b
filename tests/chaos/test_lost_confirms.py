"""The broker has a usage event, and its confirm never arrives; nobody dies."""

import aio_pika
import pytest

from shared.messaging.topology import USAGE_LEDGER
from tests.support.books import balanced_books
from tests.support.proxy import proxy_to
from tests.support.stack_client import StackClient, right_answer, text_of
from tests.support.stacks import RunningStack, extra_process
from tests.support.waiting import wait_until

pytestmark = pytest.mark.chaos

PROMPT = "[[words=40]] Do you hear me?"
_RUNNING = "SELECT count(*) FROM attempts WHERE outcome = 'running'"
_UNSENT = "SELECT count(*) FROM outbox"


async def _waiting_events(stack: RunningStack) -> int:
    async with await aio_pika.connect(stack.ready.rabbitmq_url) as connection:
        channel = await connection.channel()
        queue = await channel.declare_queue(USAGE_LEDGER, passive=True)
        return queue.declaration_result.message_count or 0


async def test_usage_whose_confirm_is_lost_is_sent_twice_and_booked_once(
    crash_stack: RunningStack, client: StackClient
) -> None:
    await client.misbehave("cloudflare", tokens_per_second=25)

    def is_called() -> bool:
        return crash_stack.rows(_RUNNING) == [(1,)]

    async def is_sent() -> bool:
        return await _waiting_events(crash_stack) == 1

    async def is_sent_again() -> bool:
        return await _waiting_events(crash_stack) > 1

    async with (
        proxy_to(crash_stack.ready.rabbitmq_url) as proxy,
        extra_process(
            crash_stack, "inference-1", "services.inference_worker.main", RABBITMQ_URL=proxy.url
        ),
    ):
        job_id = await client.submit(PROMPT)
        await wait_until(is_called)
        proxy.hold_answers()
        await wait_until(is_sent)
        assert crash_stack.rows(_UNSENT) != [(0,)]
        await proxy.cut()
        await proxy.open()
        await wait_until(is_sent_again, 30)
        async with extra_process(crash_stack, "aggregator-1", "services.cost_aggregator.main"):
            job = await client.finished(job_id)
            books = await balanced_books(crash_stack, client, [job_id])
    assert (job.status, text_of(job)) == ("succeeded", right_answer(PROMPT))
    assert books.outcomes(job_id) == ["succeeded"]
