from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager

import pytest
from aio_pika import DeliveryMode, Message
from aio_pika.abc import AbstractRobustChannel
from pydantic import BaseModel

from shared.domain.errors import DatabaseUnavailableError
from shared.messaging.acknowledgement import REASON_HEADER
from shared.messaging.batch_receiver import BatchReceiver
from shared.messaging.publisher import ConfirmedPublisher
from shared.messaging.queue_reader import QueueReader
from shared.messaging.topology import DEAD_USAGE, USAGE_LEDGER
from tests.support.messaging import ready_count, taken
from tests.support.proxy import proxy_to
from tests.support.waiting import wait_until

pytestmark = pytest.mark.integration


class Spent(BaseModel):
    number: int


class Books:
    """Books batches; `away` and `poison` make it fail as a database and a bug would."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.refused = 0
        self.away = False
        self.poison: int | None = None

    async def book(self, batch: Sequence[Spent]) -> None:
        numbers = [one.number for one in batch]
        if self.away:
            self.refused += 1
            raise DatabaseUnavailableError("away")
        if self.poison in numbers:
            raise ZeroDivisionError
        self.batches.append(numbers)

    @property
    def booked(self) -> list[int]:
        return sorted(number for batch in self.batches for number in batch)


async def _send(channel: AbstractRobustChannel, *bodies: bytes) -> None:
    exchange = await channel.get_exchange("events", ensure=False)
    for number, body in enumerate(bodies):
        message = Message(body, message_id=f"m{number}", delivery_mode=DeliveryMode.PERSISTENT)
        await exchange.publish(message, "usage.chat")


def _spent(*numbers: int) -> list[bytes]:
    return [Spent(number=number).model_dump_json().encode() for number in numbers]


@asynccontextmanager
async def _receiving(
    url: str, publisher: ConfirmedPublisher, books: Books
) -> AsyncGenerator[BatchReceiver[Spent]]:
    reader = QueueReader(url, "test", USAGE_LEDGER, prefetch=100)
    receiver = BatchReceiver(reader, books.book, Spent.model_validate_json, publisher, largest=50)
    await receiver.start()
    yield receiver
    await receiver.drain()


async def test_what_waits_is_handled_in_batches_and_acknowledged(
    declared_url: str,
    channel: AbstractRobustChannel,
    publisher: ConfirmedPublisher,
) -> None:
    books = Books()
    await _send(channel, *_spent(*range(120)))
    async with _receiving(declared_url, publisher, books) as receiver:
        await wait_until(lambda: len(books.booked) == 120, 20)
        assert receiver.is_alive
    assert books.booked == [*range(120)]
    assert len(books.batches) < 120
    assert max(len(batch) for batch in books.batches) <= 50
    assert await ready_count(channel, USAGE_LEDGER) == 0


async def test_an_undecodable_body_is_dead_lettered_and_the_rest_is_handled(
    declared_url: str,
    channel: AbstractRobustChannel,
    publisher: ConfirmedPublisher,
) -> None:
    books = Books()
    await _send(channel, *_spent(1), b'{"number": "secret"}', *_spent(2))
    async with _receiving(declared_url, publisher, books):
        await wait_until(lambda: books.booked == [1, 2], 20)
    dead = await taken(channel, DEAD_USAGE)
    assert str(dead.headers[REASON_HEADER]) == "undecodable: 1 errors at number"
    assert dead.body == b'{"number": "secret"}'


async def test_a_message_that_cannot_be_handled_harms_only_itself(
    declared_url: str,
    channel: AbstractRobustChannel,
    publisher: ConfirmedPublisher,
) -> None:
    books = Books()
    books.poison = 2
    await _send(channel, *_spent(1, 2, 3))
    async with _receiving(declared_url, publisher, books):
        await wait_until(lambda: books.booked == [1, 3], 20)
    dead = await taken(channel, DEAD_USAGE)
    assert str(dead.headers[REASON_HEADER]).startswith("unexpected: ZeroDivisionError")
    assert await ready_count(channel, USAGE_LEDGER) == 0


async def test_a_batch_is_held_while_the_database_is_away(
    declared_url: str,
    channel: AbstractRobustChannel,
    publisher: ConfirmedPublisher,
) -> None:
    books = Books()
    books.away = True
    await _send(channel, *_spent(1, 2))
    async with _receiving(declared_url, publisher, books):
        await wait_until(lambda: books.refused > 0, 20)
        assert books.booked == []
        books.away = False
        await wait_until(lambda: books.booked == [1, 2], 20)
    assert await ready_count(channel, DEAD_USAGE) == 0


async def test_consuming_goes_on_after_a_lost_connection(
    declared_url: str, channel: AbstractRobustChannel, publisher: ConfirmedPublisher
) -> None:
    books = Books()
    async with (
        proxy_to(declared_url) as proxy,
        _receiving(proxy.url, publisher, books),
    ):
        await _send(channel, *_spent(1))
        await wait_until(lambda: 1 in books.booked, 20)
        await proxy.cut()
        await proxy.open()
        await _send(channel, *_spent(2))
        await wait_until(lambda: 2 in books.booked, 30)
