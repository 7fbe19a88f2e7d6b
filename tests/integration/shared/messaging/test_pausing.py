import asyncio
from collections import Counter
from datetime import timedelta
from functools import partial

import pytest
from aio_pika import Message
from aio_pika.abc import AbstractRobustChannel
from faststream.rabbit import RabbitMessage

from shared.domain.gates import CHAT_FREE
from shared.messaging.brokers import consume_broker, subscribe
from shared.messaging.pausing import pause, resume
from tests.support.messaging import ready_count
from tests.support.proxy import proxy_to
from tests.support.waiting import wait_until

pytestmark = pytest.mark.integration


async def _publish(channel: AbstractRobustChannel, first: int, last: int) -> None:
    exchange = await channel.get_exchange("jobs", ensure=False)
    for number in range(first, last):
        await exchange.publish(Message(b"", message_id=str(number)), CHAT_FREE)


async def test_many_cycles_under_load_strand_and_repeat_nothing(
    declared_url: str, channel: AbstractRobustChannel
) -> None:
    handled: Counter[str] = Counter()

    async def receive(message: RabbitMessage) -> None:
        await asyncio.sleep(int(message.message_id) % 4 / 500)
        handled[message.message_id] += 1

    async with consume_broker(declared_url, "test", timedelta(seconds=10)) as broker:
        subscriber = subscribe(broker, CHAT_FREE, receive, prefetch=4)
        for cycle in range(30):
            await _publish(channel, cycle * 10, cycle * 10 + 10)
            await resume(subscriber)
            await wait_until(partial(_has_handled, handled, cycle * 4))
            await pause(subscriber)
        await resume(subscriber)
        await wait_until(partial(_has_handled, handled, 300))
        await pause(subscriber)
    assert set(handled.values()) == {1}
    assert await ready_count(channel, CHAT_FREE) == 0


async def test_a_paused_subscriber_consumes_nothing_and_waits_for_its_handlers(
    declared_url: str, channel: AbstractRobustChannel
) -> None:
    begun, may_end, ended = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def receive(_: RabbitMessage) -> None:
        begun.set()
        await may_end.wait()
        ended.set()

    async with consume_broker(declared_url, "test", timedelta(seconds=10)) as broker:
        subscriber = subscribe(broker, CHAT_FREE, receive, prefetch=4)
        await resume(subscriber)
        await _publish(channel, 0, 1)
        await begun.wait()
        pausing = asyncio.create_task(pause(subscriber))
        await wait_until(lambda: not subscriber.running)
        await _publish(channel, 1, 3)
        assert not pausing.done()
        may_end.set()
        await pausing
        assert ended.is_set()
        await pause(subscriber)
    assert await ready_count(channel, CHAT_FREE) == 2


async def test_a_paused_subscriber_stays_paused_through_an_outage(
    declared_url: str, channel: AbstractRobustChannel
) -> None:
    handled: list[str] = []

    async def receive(message: RabbitMessage) -> None:
        handled.append(message.message_id)

    async with proxy_to(declared_url) as proxy:
        broker = consume_broker(proxy.url, "test", timedelta(seconds=5))
        async with broker:
            connection = await broker.connect()
            restored = asyncio.Event()
            connection.reconnect_callbacks.add(lambda _: restored.set())
            subscriber = subscribe(broker, CHAT_FREE, receive, prefetch=4)
            await resume(subscriber)
            await proxy.cut()
            await wait_until(lambda: not connection.connected.is_set())
            await pause(subscriber)
            await _publish(channel, 0, 5)
            await proxy.open()
            await asyncio.wait_for(restored.wait(), 10)
            assert await ready_count(channel, CHAT_FREE) == 5
            assert await _has_no_consumer(channel)
            await resume(subscriber)
            await wait_until(lambda: len(handled) == 5)
            await pause(subscriber)


def _has_handled(handled: Counter[str], number: int) -> bool:
    return handled.total() >= number


async def _has_no_consumer(channel: AbstractRobustChannel) -> bool:
    queue = await channel.declare_queue(CHAT_FREE, passive=True, robust=False)
    return queue.declaration_result.consumer_count == 0
