"""Events that nobody can book."""

import aio_pika
import pytest

from shared.messaging.acknowledgement import REASON_HEADER
from shared.messaging.topology import DEAD_USAGE, EVENTS
from tests.support.books import balanced_books
from tests.support.messaging import taken
from tests.support.stack_client import StackClient
from tests.support.stacks import RunningStack

pytestmark = [pytest.mark.chaos, pytest.mark.usefixtures("aggregator", "worker")]


async def test_a_poisonous_event_is_set_aside_with_a_reason_and_booking_goes_on(
    crash_stack: RunningStack, client: StackClient
) -> None:
    async with await aio_pika.connect_robust(crash_stack.ready.rabbitmq_url) as connection:
        channel = connection.channel()
        await channel.initialize()
        events = await channel.get_exchange(EVENTS, ensure=False)
        await events.publish(aio_pika.Message(b'{"attempt_id": 1}'), "usage.chat")
        job = await client.finished(await client.submit("Who stands behind the poison?"))
        dead = await taken(channel, DEAD_USAGE)
    await balanced_books(crash_stack, client, [job.id])
    assert "attempt_id" in str(dead.headers[REASON_HEADER])
