"""Live frames on a real broker, through outages of its connection."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import replace
from datetime import timedelta

import aio_pika
import pytest
import pytest_asyncio
from aio_pika import connect_robust
from aio_pika.abc import AbstractChannel
from pamqp.commands import Basic

from services.api.result_stream import ResultStream
from services.api.use_cases.watching import Missed, Received, Watch
from shared.domain.ids import JobId
from shared.messages.frames import JobDelta, stream_key
from shared.messaging.declaration import declare
from shared.messaging.topology import STREAM
from tests.support.chat_jobs import new_chat_job
from tests.support.proxy import Proxy, proxy_to
from tests.support.servers import VirtualHost
from tests.support.waiting import wait_until

pytestmark = pytest.mark.integration
ONE, TWO = JobId("job_1"), JobId("job_2")
SAME_LANE = JobId("another_1")
_LINGER = timedelta(seconds=0.2)


@pytest_asyncio.fixture
async def channel(vhost: VirtualHost) -> AsyncGenerator[AbstractChannel]:
    await declare(vhost.url, vhost.management_url)
    async with await aio_pika.connect(vhost.url) as connection:
        yield await connection.channel()


@pytest_asyncio.fixture
async def proxy(channel: AbstractChannel, vhost: VirtualHost) -> AsyncGenerator[Proxy]:
    assert not channel.is_closed
    async with proxy_to(vhost.url) as proxy:
        yield proxy


@pytest_asyncio.fixture
async def stream(proxy: Proxy) -> AsyncGenerator[ResultStream]:
    connection = await connect_robust(f"{proxy.url}?reconnect_interval=0.1")
    stream = await ResultStream.open(connection, "boot-1", lambda _: None, _LINGER)
    yield stream
    await stream.close()
    await connection.close()


async def send(channel: AbstractChannel, job_id: JobId, text: str, body: bytes = b"") -> None:
    exchange = await channel.get_exchange(STREAM)
    frame = JobDelta(job_id=job_id, attempt=1, offset=0, text=text).model_dump_json().encode()
    await exchange.publish(aio_pika.Message(body or frame), stream_key(job_id), mandatory=False)


async def next_text(watch: Watch) -> str:
    received = await watch.next(10)
    assert isinstance(received, Received), received
    assert isinstance(received.frame, JobDelta)
    return received.frame.text


async def next_miss(watch: Watch) -> Missed:
    received = await watch.next(10)
    assert isinstance(received, Missed)
    return received


async def test_each_watcher_gets_the_frames_of_its_job(
    stream: ResultStream, channel: AbstractChannel
) -> None:
    async with stream.watch(ONE) as first, stream.watch(ONE) as second, stream.watch(TWO) as other:
        await send(channel, ONE, "a")
        await send(channel, TWO, "b")
        assert [await next_text(one) for one in (first, second, other)] == ["a", "a", "b"]


async def test_a_lane_is_bound_while_somebody_watches_and_a_little_longer(
    stream: ResultStream, channel: AbstractChannel
) -> None:
    async def is_bound() -> bool:
        exchange = await channel.get_exchange(STREAM)
        returned = await exchange.publish(aio_pika.Message(b"{}"), stream_key(ONE), mandatory=True)
        return isinstance(returned, Basic.Ack)

    async with stream.watch(ONE):
        async with stream.watch(ONE):
            assert await is_bound()
        assert await is_bound()

    async def is_free() -> bool:
        return not await is_bound()

    await wait_until(is_free)


async def test_a_watcher_sees_nothing_of_another_job_in_its_lane(
    stream: ResultStream, channel: AbstractChannel
) -> None:
    async with stream.watch(ONE) as watch:
        await send(channel, SAME_LANE, "not mine")
        await send(channel, ONE, "a")
        assert await next_text(watch) == "a"


async def test_a_watcher_that_gives_up_while_joining_disturbs_nobody(
    stream: ResultStream, channel: AbstractChannel
) -> None:
    async def join() -> None:
        async with stream.watch(TWO) as watch:
            await watch.next(10)

    async with stream.watch(ONE) as watch:
        joining = asyncio.create_task(join())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        joining.cancel()
        with pytest.raises(asyncio.CancelledError):
            await joining
        await send(channel, ONE, "a")
        assert await next_text(watch) == "a"


async def test_a_frame_that_is_none_harms_nobody(
    stream: ResultStream, channel: AbstractChannel
) -> None:
    async with stream.watch(ONE) as watch:
        await send(channel, ONE, "", b"nonsense")
        await send(channel, ONE, "a")
        assert await next_text(watch) == "a"


async def test_an_expected_jobs_frames_wait_for_its_first_watcher(
    stream: ResultStream, channel: AbstractChannel
) -> None:
    job = replace(new_chat_job(), id=ONE)
    async with stream.watch(SAME_LANE) as neighbour:
        stream.expect(job)
        await send(channel, ONE, "a")
        await send(channel, SAME_LANE, "b")
        assert await next_text(neighbour) == "b"
        async with stream.watch(ONE) as first, stream.watch(ONE) as second:
            assert (first.accepted, second.accepted) == (job, None)
            assert await next_text(first) == "a"


async def test_a_job_in_an_unbound_lane_is_not_expected(stream: ResultStream) -> None:
    stream.expect(replace(new_chat_job(), id=ONE))
    async with stream.watch(ONE) as watch:
        assert watch.accepted is None


async def test_only_so_many_frames_and_jobs_are_kept(
    stream: ResultStream, channel: AbstractChannel
) -> None:
    async with stream.watch(SAME_LANE) as neighbour:
        for number in range(2_001):
            stream.expect(replace(new_chat_job(), id=JobId(f"job_{number}_1")))
        for number in range(33):
            await send(channel, JobId("job_2000_1"), str(number))
        await send(channel, SAME_LANE, "all are here")
        assert await next_text(neighbour) == "all are here"
        async with stream.watch(JobId("job_0_1")) as forgotten:
            assert forgotten.accepted is None
        async with stream.watch(JobId("job_2000_1")) as flooded:
            assert await next_miss(flooded) is Missed.OVERFLOW


async def test_after_an_outage_watchers_read_again_and_frames_flow(
    stream: ResultStream, channel: AbstractChannel, proxy: Proxy
) -> None:
    async with stream.watch(ONE) as watch:
        await proxy.cut()
        async with asyncio.timeout(10), stream.watch(TWO) as joined_meanwhile:
            await proxy.open()
            assert await next_miss(watch) is Missed.RECONNECT
            assert await next_miss(joined_meanwhile) is Missed.RECONNECT
            await send(channel, ONE, "a")
            await send(channel, TWO, "b")
            assert await next_text(watch) == "a"
            assert await next_text(joined_meanwhile) == "b"


async def test_dismissed_watchers_leave_and_later_ones_do_not_stay(stream: ResultStream) -> None:
    async def watched() -> Missed:
        async with stream.watch(ONE) as watch:
            return await next_miss(watch)

    waiting = asyncio.create_task(watched())
    await asyncio.sleep(0)
    await stream.dismiss_watchers()
    assert await waiting is Missed.CLOSED
    assert await watched() is Missed.CLOSED
