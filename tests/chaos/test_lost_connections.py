"""A worker's connection to the broker breaks while it pays for an answer; nobody dies."""

import pytest

from tests.support.books import balanced_books
from tests.support.proxy import proxy_to
from tests.support.stack_client import StackClient, right_answer, text_of
from tests.support.stacks import RunningStack, extra_process
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.chaos, pytest.mark.usefixtures("aggregator")]

PROMPT = "[[words=40]] Will you pay for me twice?"


async def test_a_call_outlives_its_connection_and_is_made_once(
    crash_stack: RunningStack, client: StackClient
) -> None:
    await client.misbehave("cloudflare", tokens_per_second=25)
    billed_before = len((await client.bill()).data)

    async def is_billed() -> bool:
        return len((await client.bill()).data) > billed_before

    async with (
        proxy_to(crash_stack.ready.rabbitmq_url) as proxy,
        extra_process(
            crash_stack, "inference-1", "services.inference_worker.main", RABBITMQ_URL=proxy.url
        ),
    ):
        job_id = await client.submit(PROMPT)
        await wait_until(is_billed)
        await proxy.cut()
        await proxy.open()
        job = await client.finished(job_id)
        books = await balanced_books(crash_stack, client, [job_id])
    assert text_of(job) == right_answer(PROMPT)
    assert books.outcomes(job_id) == ["succeeded"]
    assert len((await client.bill()).data) == billed_before + 1
