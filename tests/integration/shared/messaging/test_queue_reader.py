import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit, urlunsplit

import pytest
from aio_pika import Message
from aio_pika.abc import AbstractRobustChannel

from shared.domain.errors import BrokerUnavailableError
from shared.domain.ids import QueueName
from shared.messaging.queue_reader import Batch, QueueReader
from tests.support.messaging import ready_count
from tests.support.proxy import proxy_to
from tests.support.waiting import wait_until

pytestmark = pytest.mark.integration
_QUEUE = QueueName("read-by-test")


class Heard:
    """Batches as they came."""

    def __init__(self) -> None:
        self.batches: list[Batch] = []

    def hear(self, batch: Batch) -> None:
        self.batches.append(batch)

    @property
    def bodies(self) -> list[bytes]:
        return [one.body for batch in self.batches for one in batch.deliveries]


@asynccontextmanager
async def _reading(url: str, heard: Heard, prefetch: int = 100) -> AsyncGenerator[QueueReader]:
    reader = QueueReader(url, "test", _QUEUE, prefetch)
    reader.hear = heard.hear
    await reader.start()
    yield reader
    await reader.stop()
    reader.close()


async def _send(channel: AbstractRobustChannel, *bodies: bytes) -> None:
    for body in bodies:
        await channel.default_exchange.publish(Message(body), _QUEUE)


@pytest.fixture(autouse=True)
async def queue(channel: AbstractRobustChannel) -> None:
    await channel.declare_queue(_QUEUE, durable=True, robust=False)


async def test_what_is_acknowledged_is_gone_and_the_rest_comes_back(
    declared_url: str, channel: AbstractRobustChannel
) -> None:
    heard = Heard()
    await _send(channel, b"a", b"b", b"c" * 300_000)
    async with _reading(declared_url, heard) as reader:
        assert reader.is_alive
        await wait_until(lambda: len(heard.bodies) == 3, 20)
        first = heard.batches[0]
        first.acknowledge(first.deliveries[0])

    async def two_are_back() -> bool:
        return await ready_count(channel, _QUEUE) == 2

    await wait_until(two_are_back, 20)


async def test_no_more_than_the_prefetch_is_taken(
    declared_url: str, channel: AbstractRobustChannel
) -> None:
    heard = Heard()
    await _send(channel, *(str(n).encode() for n in range(9)))
    async with _reading(declared_url, heard, prefetch=4):
        await wait_until(lambda: len(heard.bodies) == 4, 20)
        batch = heard.batches[-1]
        batch.acknowledge(batch.deliveries[-1])
        await wait_until(lambda: len(heard.bodies) == 8, 20)


async def test_what_was_not_acknowledged_comes_again_after_a_loss(
    declared_url: str, channel: AbstractRobustChannel
) -> None:
    heard = Heard()
    await _send(channel, b"a")
    async with proxy_to(declared_url) as proxy, _reading(proxy.url, heard):
        await wait_until(lambda: heard.bodies == [b"a"], 20)
        await proxy.cut()
        lost = heard.batches[0]
        await proxy.open()
        await wait_until(lambda: heard.bodies == [b"a", b"a"], 20)
        lost.acknowledge(lost.deliveries[0])
        heard.batches[1].acknowledge(heard.batches[1].deliveries[0])
    assert await ready_count(channel, _QUEUE) == 0


async def test_a_queue_that_is_deleted_is_waited_for(
    declared_url: str, channel: AbstractRobustChannel
) -> None:
    heard = Heard()
    async with _reading(declared_url, heard):
        await channel.queue_delete(_QUEUE)
        await channel.declare_queue(_QUEUE, durable=True, robust=False)
        await _send(channel, b"again")
        await wait_until(lambda: heard.bodies == [b"again"], 30)


@pytest.mark.parametrize("wrong", ["queue", "password", "address"])
async def test_a_start_that_cannot_succeed_says_so(declared_url: str, wrong: str) -> None:
    parts = urlsplit(declared_url)
    urls = {
        "queue": declared_url,
        "password": urlunsplit(parts._replace(netloc=f"guest:wrong@{parts.hostname}:{parts.port}")),
        "address": urlunsplit(parts._replace(netloc=f"guest:guest@{parts.hostname}:1")),
    }
    queue = QueueName("not-there") if wrong == "queue" else _QUEUE
    reader = QueueReader(urls[wrong], "test", queue, 10)
    with pytest.raises(BrokerUnavailableError, match="cannot be consumed"):
        async with asyncio.timeout(15):
            await reader.start()
    assert not reader.is_alive
