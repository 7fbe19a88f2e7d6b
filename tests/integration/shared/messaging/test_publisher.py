import asyncio
from datetime import timedelta
from time import monotonic

import aio_pika
import pytest
from aio_pika.abc import AbstractRobustChannel, AbstractRobustConnection

from shared.domain.errors import BrokerUnavailableError, QueueFullError, UnroutableError
from shared.domain.ids import JobId
from shared.domain.outgoing import OutgoingMessage
from shared.messages.frames import stream_key
from shared.messaging.brokers import publish_broker
from shared.messaging.management import Management
from shared.messaging.publisher import ConfirmedPublisher, FireAndForgetPublisher
from shared.messaging.topology import Policy
from tests.support.messaging import ready_count, taken
from tests.support.proxy import proxy_to
from tests.support.waiting import wait_until

pytestmark = pytest.mark.integration


def _job(message_id: str = "m1", key: str = "chat.free", exchange: str = "jobs") -> OutgoingMessage:
    return OutgoingMessage(message_id, exchange, key, b"{}")


async def test_a_confirmed_message_is_in_its_queue_and_persistent(
    publisher: ConfirmedPublisher, channel: AbstractRobustChannel
) -> None:
    await publisher.publish(_job(), {"x-note": "kept"})
    message = await taken(channel, "chat.free")
    assert (message.message_id, message.body, message.delivery_mode) == ("m1", b"{}", 2)
    assert (message.content_type, message.headers["x-note"]) == ("application/json", "kept")


async def test_the_publish_brokers_connection_serves_a_publisher(
    declared_url: str, channel: AbstractRobustChannel
) -> None:
    async with publish_broker(declared_url, "test") as broker:
        publisher = await ConfirmedPublisher.open(await broker.connect())
        await publisher.publish(_job())
        assert (await taken(channel, "chat.free")).message_id == "m1"
        await publisher.close()


async def test_a_key_that_no_queue_takes_is_unroutable(publisher: ConfirmedPublisher) -> None:
    with pytest.raises(UnroutableError, match=r"m1.*nowhere"):
        await publisher.publish(_job(key="nowhere"))


async def test_nobody_needs_to_take_what_is_not_mandatory(publisher: ConfirmedPublisher) -> None:
    await publisher.publish(OutgoingMessage("m1", "jobs", "nowhere", b"{}", mandatory=False))


async def test_a_missing_exchange_fails_alone_and_at_once(
    publisher: ConfirmedPublisher, channel: AbstractRobustChannel
) -> None:
    jobs = [_job(f"m{number}") for number in range(50)]
    outcomes = await publisher.publish_many([*jobs, _job("bad", exchange="missing")])
    assert outcomes[:-1] == [None] * 50
    assert isinstance(outcomes[-1], UnroutableError)
    assert await ready_count(channel, "chat.free") >= 50


async def test_a_full_queue_refuses(
    publisher: ConfirmedPublisher, declared_url: str, management_url: str
) -> None:
    small = Policy(
        "work", r"^chat\.", {"max-length": 3, "overflow": "reject-publish", "delivery-limit": 10}
    )
    await Management(management_url, declared_url).put_policy(small, (3, 10))

    async def refused() -> bool:
        outcomes = await publisher.publish_many([_job()] * 3)
        return all(isinstance(outcome, QueueFullError) for outcome in outcomes)

    await wait_until(refused)


async def test_many_go_out_together_in_any_number(
    publisher: ConfirmedPublisher, channel: AbstractRobustChannel
) -> None:
    assert await publisher.publish_many([]) == []
    outcomes = await publisher.publish_many([_job(str(number)) for number in range(1000)])
    assert outcomes == [None] * 1000
    assert await ready_count(channel, "chat.free") == 1000


async def test_an_outage_delays_and_loses_nothing(
    declared_url: str, channel: AbstractRobustChannel
) -> None:
    async with proxy_to(declared_url) as proxy:
        connection = await aio_pika.connect_robust(f"{proxy.url}?reconnect_interval=0.2")
        async with connection:
            publisher = await ConfirmedPublisher.open(connection)
            await publisher.publish(_job("before"))
            await proxy.cut()
            during = asyncio.create_task(
                publisher.publish_many([_job(f"m{number}") for number in range(50)])
            )
            await wait_until(lambda: not connection.connected.is_set())
            assert not during.done()
            await proxy.open()
            assert await during == [None] * 50
    await taken(channel, "chat.free")
    seen = {(await taken(channel, "chat.free")).message_id for _ in range(50)}
    assert seen == {f"m{number}" for number in range(50)}


async def test_a_silent_broker_is_given_up_at_the_deadline(declared_url: str) -> None:
    async with proxy_to(declared_url) as proxy:
        connection = await aio_pika.connect_robust(proxy.url)
        publisher = await ConfirmedPublisher.open(
            connection, deadline=timedelta(seconds=0.7), per_try=timedelta(seconds=0.3)
        )
        proxy.stall()
        began = monotonic()
        with pytest.raises(BrokerUnavailableError, match=r"m1.*0\.7 s"):
            await publisher.publish(_job())
        assert monotonic() - began < 2
        proxy.flow()
        await connection.close()


async def test_frames_reach_who_watches_in_order(
    connection: AbstractRobustConnection, channel: AbstractRobustChannel
) -> None:
    queue = await channel.declare_queue("watcher", exclusive=True)
    await queue.bind("stream", stream_key(JobId("job_1")))
    frames = await FireAndForgetPublisher.open(connection)
    for number in range(20):
        await frames.send(stream_key(JobId("job_1")), str(number).encode())
        await frames.send(stream_key(JobId("unwatched")), b"dropped by the broker")
    bodies = [(await taken(channel, "watcher")).body for _ in range(20)]
    assert bodies == [str(number).encode() for number in range(20)]
    assert frames.dropped == 0
    await frames.close()


async def test_frames_are_dropped_while_the_broker_is_away(declared_url: str) -> None:
    async with proxy_to(declared_url) as proxy:
        connection = await aio_pika.connect_robust(f"{proxy.url}?reconnect_interval=0.2")
        async with connection:
            frames = await FireAndForgetPublisher.open(connection)
            await proxy.cut()
            await wait_until(lambda: not connection.connected.is_set())
            await frames.send(stream_key(JobId("job_1")), b"lost")
            assert frames.dropped == 1
            await proxy.open()
            await connection.ready()
            await frames.send(stream_key(JobId("job_1")), b"sent")
            assert frames.dropped <= 2
