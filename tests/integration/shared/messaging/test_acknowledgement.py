from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
from aio_pika import DeliveryMode, Message, connect_robust
from aio_pika.abc import AbstractRobustChannel, AbstractRobustConnection
from pydantic import BaseModel

from shared.domain.errors import DatabaseUnavailableError
from shared.domain.gates import CHAT_FREE
from shared.messaging.acknowledgement import (
    LAST_ROUND,
    REASON_HEADER,
    ROUND_HEADER,
    AcknowledgedSubscriber,
)
from shared.messaging.brokers import consume_broker, subscribe
from shared.messaging.pausing import pause
from shared.messaging.publisher import ConfirmedPublisher
from tests.support.messaging import ready_count, taken
from tests.support.proxy import proxy_to
from tests.support.waiting import wait_until

pytestmark = pytest.mark.integration


class Greeting(BaseModel):
    name: str
    secret: int = 0


Handle = Callable[[Greeting], Awaitable[None]]


@asynccontextmanager
async def _worker(url: str, publisher: ConfirmedPublisher, handle: Handle) -> AsyncGenerator[None]:
    """Run a handler on `chat.free`."""
    async with consume_broker(url, "test", timedelta(seconds=5)) as broker:
        receiver = AcknowledgedSubscriber(handle, Greeting.model_validate_json, publisher)
        subscriber = subscribe(broker, CHAT_FREE, receiver.receive, prefetch=4)
        await subscriber.start()
        yield
        await pause(subscriber)


async def _send(
    channel: AbstractRobustChannel, body: bytes, headers: dict[str, int] | None = None
) -> None:
    exchange = await channel.get_exchange("jobs", ensure=False)
    message = Message(
        body,
        message_id="m1",
        delivery_mode=DeliveryMode.PERSISTENT,
        content_type="application/json",
        headers=dict(headers or {}),
    )
    await exchange.publish(message, CHAT_FREE)


async def test_a_handled_message_is_gone(
    declared_url: str, channel: AbstractRobustChannel, publisher: ConfirmedPublisher
) -> None:
    handled: list[Greeting] = []

    async def handle(greeting: Greeting) -> None:
        handled.append(greeting)

    async with _worker(declared_url, publisher, handle):
        await _send(channel, b'{"name":"Ada"}')
        await wait_until(lambda: handled == [Greeting(name="Ada")])
    for queue in (CHAT_FREE, "dead.chat", "retry.5s"):
        assert await ready_count(channel, queue) == 0


async def test_a_bug_dead_letters_with_its_type_and_place_but_not_its_words(
    declared_url: str, channel: AbstractRobustChannel, publisher: ConfirmedPublisher
) -> None:
    async def handle(_: Greeting) -> None:
        raise ZeroDivisionError("the secret is 4711")

    async with _worker(declared_url, publisher, handle):
        await _send(channel, b'{"name":"Ada"}')
        dead = await taken(channel, "dead.chat")
    reason = str(dead.headers[REASON_HEADER])
    assert reason.startswith("unexpected: ZeroDivisionError at handle:")
    assert "4711" not in reason
    assert (dead.message_id, dead.routing_key) == ("m1", CHAT_FREE)
    assert dead.body == b'{"name":"Ada"}'


@pytest.mark.parametrize(
    ("body", "place"),
    [(b'{"name":"Ada","secret":"4711x"}', "secret"), (b"\xff\x00 no json", "the body")],
)
async def test_an_undecodable_body_dead_letters_with_places_and_no_values(
    declared_url: str,
    channel: AbstractRobustChannel,
    publisher: ConfirmedPublisher,
    body: bytes,
    place: str,
) -> None:
    async def handle(_: Greeting) -> None:
        raise AssertionError("must not be reached")

    async with _worker(declared_url, publisher, handle):
        await _send(channel, body)
        dead = await taken(channel, "dead.chat")
    assert dead.headers[REASON_HEADER] == f"undecodable: 1 errors at {place}"
    assert dead.body == body


async def test_a_transient_error_delays_and_counts_the_rounds(
    declared_url: str, channel: AbstractRobustChannel, publisher: ConfirmedPublisher
) -> None:
    async def handle(_: Greeting) -> None:
        raise DatabaseUnavailableError("away")

    async with _worker(declared_url, publisher, handle):
        await _send(channel, b'{"name":"Ada"}')
        first = await taken(channel, "retry.5s")
        await _send(channel, b'{"name":"Ada"}', {ROUND_HEADER: 6})
        seventh = await taken(channel, "retry.30s")
    assert (first.headers[ROUND_HEADER], seventh.headers[ROUND_HEADER]) == (1, 7)
    assert (first.message_id, first.routing_key) == ("m1", CHAT_FREE)


async def test_after_the_last_round_a_transient_error_dead_letters(
    declared_url: str, channel: AbstractRobustChannel, publisher: ConfirmedPublisher
) -> None:
    async def handle(_: Greeting) -> None:
        raise DatabaseUnavailableError("away")

    async with _worker(declared_url, publisher, handle):
        await _send(channel, b'{"name":"Ada"}', {ROUND_HEADER: LAST_ROUND})
        dead = await taken(channel, "dead.chat")
    assert dead.headers[REASON_HEADER] == (
        "still failing after 20 rounds: DatabaseUnavailableError: away"
    )


async def test_without_a_way_to_publish_the_policy_dead_letters(
    declared_url: str, connection: AbstractRobustConnection, channel: AbstractRobustChannel
) -> None:
    async def handle(_: Greeting) -> None:
        raise ZeroDivisionError

    closed = await ConfirmedPublisher.open(connection, deadline=timedelta(seconds=0.2))
    await closed.close()
    async with _worker(declared_url, closed, handle):
        await _send(channel, b'{"name":"Ada"}')
        dead = await taken(channel, "dead.chat")
    assert dead.headers["x-first-death-reason"] == "rejected"
    assert dead.routing_key == CHAT_FREE


async def test_a_delivery_is_held_while_the_ladder_cannot_take_it(
    declared_url: str, channel: AbstractRobustChannel
) -> None:
    async def handle(_: Greeting) -> None:
        raise DatabaseUnavailableError("away")

    async with proxy_to(declared_url) as proxy:
        connection = await connect_robust(f"{proxy.url}?reconnect_interval=0.2")
        async with connection:
            flaky = await ConfirmedPublisher.open(connection, deadline=timedelta(seconds=0.1))
            async with _worker(declared_url, flaky, handle):
                await proxy.cut()
                await _send(channel, b'{"name":"Ada"}')
                await wait_until(lambda: not connection.connected.is_set())
                await proxy.open()
                assert (await taken(channel, "retry.5s")).message_id == "m1"
    assert await ready_count(channel, CHAT_FREE) == 0
