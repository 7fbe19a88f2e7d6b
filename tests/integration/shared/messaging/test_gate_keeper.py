import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from aio_pika import Message
from aio_pika.abc import AbstractRobustChannel, AbstractRobustConnection
from faststream.rabbit import RabbitMessage

from shared.domain.gates import CHAT_FREE, GateState
from shared.messaging.brokers import consume_broker, subscribe
from shared.messaging.control import FanoutHint
from shared.messaging.declaration import declare
from shared.messaging.gate_keeper import GateKeeper
from tests.support.messaging import MemoryGates, ready_count
from tests.support.proxy import proxy_to
from tests.support.waiting import wait_until

pytestmark = pytest.mark.integration

NEVER = timedelta(hours=1)
SOON = timedelta(seconds=0.1)


@dataclass
class Worker:
    """A worker on `chat.free` whose jobs end when the test says so."""

    keeper: GateKeeper
    begun: list[str] = field(default_factory=list[str])
    handled: list[str] = field(default_factory=list[str])
    may_end: asyncio.Event = field(default_factory=asyncio.Event)

    async def receive(self, message: RabbitMessage) -> None:
        async with self.keeper.slot(CHAT_FREE):
            self.begun.append(message.message_id)
            await self.may_end.wait()
            self.handled.append(message.message_id)


@pytest.fixture
def gates() -> MemoryGates:
    gates = MemoryGates()
    gates.move(CHAT_FREE, GateState.RUNNING)
    return gates


@asynccontextmanager
async def _started(url: str, gates: MemoryGates, period: timedelta) -> AsyncGenerator[Worker]:
    async with consume_broker(url, "test", timedelta(seconds=10)) as broker:
        worker = Worker(GateKeeper(gates, worker="w1", period=period))
        worker.may_end.set()
        worker.keeper.guard(CHAT_FREE, subscribe(broker, CHAT_FREE, worker.receive, prefetch=8))
        await worker.keeper.start(await broker.connect())
        yield worker
        worker.may_end.set()
        await worker.keeper.drain()


async def _publish(channel: AbstractRobustChannel, *names: str) -> None:
    exchange = await channel.get_exchange("jobs", ensure=False)
    for name in names:
        await exchange.publish(Message(b"", message_id=name), CHAT_FREE)


def _actual(gates: MemoryGates) -> tuple[str, int]:
    report = gates.reports["w1", CHAT_FREE]
    return report.actual, report.generation


async def test_an_open_gate_lets_work_in_at_boot(
    declared_url: str, channel: AbstractRobustChannel, gates: MemoryGates
) -> None:
    async with _started(declared_url, gates, NEVER) as worker:
        assert worker.keeper.lets_work_start(CHAT_FREE)
        assert _actual(gates) == ("running", 1)
        await _publish(channel, "m1")
        await wait_until(lambda: worker.handled == ["m1"])
    assert _actual(gates) == ("paused", 0)
    assert not worker.keeper.lets_work_start(CHAT_FREE)


@pytest.mark.parametrize("desired", [GateState.PAUSED, GateState.CLOSED])
async def test_a_shut_gate_keeps_a_new_worker_from_consuming(
    declared_url: str, channel: AbstractRobustChannel, gates: MemoryGates, desired: GateState
) -> None:
    gates.move(CHAT_FREE, desired)
    await _publish(channel, "m1")
    async with _started(declared_url, gates, SOON) as worker:
        await wait_until(lambda: gates.reads > 3)
        assert not worker.keeper.lets_work_start(CHAT_FREE)
        assert _actual(gates) == ("paused", 2)
    assert await ready_count(channel, CHAT_FREE) == 1
    assert not worker.begun


async def test_a_hint_moves_gates_at_once_and_running_jobs_end(
    declared_url: str,
    connection: AbstractRobustConnection,
    channel: AbstractRobustChannel,
    gates: MemoryGates,
) -> None:
    hint = await FanoutHint.open(connection)
    async with _started(declared_url, gates, NEVER) as worker:
        worker.may_end.clear()
        await _publish(channel, "m1")
        await wait_until(lambda: worker.begun == ["m1"])
        gates.move(CHAT_FREE, GateState.PAUSED)
        await hint.send()
        await wait_until(lambda: _actual(gates) == ("pausing", 2))
        assert gates.reports["w1", CHAT_FREE].in_flight == 1
        worker.may_end.set()
        await wait_until(lambda: _actual(gates) == ("paused", 2))
        assert worker.handled == ["m1"]
        await _publish(channel, "m2")
        gates.move(CHAT_FREE, GateState.RUNNING)
        await hint.send()
        await wait_until(lambda: worker.handled == ["m1", "m2"])


async def test_a_gate_reopened_while_jobs_end_resumes_after_them(
    declared_url: str, channel: AbstractRobustChannel, gates: MemoryGates
) -> None:
    async with _started(declared_url, gates, SOON) as worker:
        worker.may_end.clear()
        await _publish(channel, "m1")
        await wait_until(lambda: worker.begun == ["m1"])
        gates.move(CHAT_FREE, GateState.PAUSED)
        await wait_until(lambda: _actual(gates) == ("pausing", 2))
        gates.move(CHAT_FREE, GateState.RUNNING)
        await wait_until(lambda: _actual(gates) == ("pausing", 3))
        worker.may_end.set()
        await wait_until(lambda: _actual(gates) == ("running", 3))


async def test_a_lost_hint_is_made_good_by_the_tick(
    declared_url: str, channel: AbstractRobustChannel, gates: MemoryGates
) -> None:
    async with _started(declared_url, gates, SOON) as worker:
        gates.move(CHAT_FREE, GateState.PAUSED)
        await wait_until(lambda: _actual(gates) == ("paused", 2))
        await _publish(channel, "m1")
        assert not worker.begun


async def test_hints_are_heard_again_after_an_outage(
    declared_url: str, connection: AbstractRobustConnection, gates: MemoryGates
) -> None:
    hint = await FanoutHint.open(connection)
    async with proxy_to(declared_url) as proxy, _started(proxy.url, gates, NEVER):
        reads = gates.reads
        await proxy.cut()
        await proxy.open()
        await wait_until(lambda: gates.reads > reads)
        gates.move(CHAT_FREE, GateState.PAUSED)
        await hint.send()
        await wait_until(lambda: _actual(gates) == ("paused", 2))


async def test_an_unreadable_database_keeps_the_last_state(
    declared_url: str, channel: AbstractRobustChannel, gates: MemoryGates
) -> None:
    async with _started(declared_url, gates, SOON) as worker:
        gates.is_down = True
        reads = gates.reads
        await wait_until(lambda: gates.reads > reads + 2)
        await _publish(channel, "m1")
        await wait_until(lambda: worker.handled == ["m1"])
        assert worker.keeper.lets_work_start(CHAT_FREE)


async def test_an_unreadable_database_at_boot_keeps_everything_shut_until_it_answers(
    declared_url: str, channel: AbstractRobustChannel, gates: MemoryGates
) -> None:
    gates.is_down = True
    await _publish(channel, "m1")
    async with _started(declared_url, gates, SOON) as worker:
        await wait_until(lambda: gates.reads > 3)
        assert not worker.keeper.lets_work_start(CHAT_FREE)
        assert not worker.begun
        gates.is_down = False
        await wait_until(lambda: worker.handled == ["m1"])


async def test_a_slowed_queue_runs_no_more_than_its_cap(
    declared_url: str, channel: AbstractRobustChannel, gates: MemoryGates
) -> None:
    gates.move(CHAT_FREE, GateState.SLOWED, concurrency=2)
    async with _started(declared_url, gates, SOON) as worker:
        worker.may_end.clear()
        await _publish(channel, *"abcdef")
        await wait_until(lambda: _in_flight(gates) == 2)
        reads = gates.reads
        await wait_until(lambda: gates.reads > reads + 1)
        assert len(worker.begun) == 2
        gates.move(CHAT_FREE, GateState.RUNNING)
        await wait_until(lambda: len(worker.begun) == 6)


async def test_a_slowed_queue_waits_for_room_that_others_take(
    declared_url: str, channel: AbstractRobustChannel, gates: MemoryGates
) -> None:
    gates.elsewhere = 2
    gates.move(CHAT_FREE, GateState.SLOWED, concurrency=2)
    async with _started(declared_url, gates, SOON) as worker:
        await _publish(channel, "a")
        await wait_until(lambda: _in_flight(gates) == 1)
        reads = gates.reads
        await wait_until(lambda: gates.reads > reads + 1)
        assert worker.begun == []
        gates.elsewhere = 1
        await wait_until(lambda: worker.begun == ["a"])


async def test_a_worker_that_waits_for_room_can_stop(
    declared_url: str, channel: AbstractRobustChannel, gates: MemoryGates
) -> None:
    gates.elsewhere = 1
    gates.move(CHAT_FREE, GateState.SLOWED, concurrency=1)
    async with _started(declared_url, gates, SOON) as worker:
        await _publish(channel, "a")
        await wait_until(lambda: _in_flight(gates) == 1)
        await worker.keeper.drain()
        assert not worker.keeper.lets_work_start(CHAT_FREE)


async def test_a_gate_without_a_row_stays_shut(declared_url: str) -> None:
    gates = MemoryGates()
    async with _started(declared_url, gates, SOON) as worker:
        await wait_until(lambda: gates.reads > 2)
        assert not worker.keeper.lets_work_start(CHAT_FREE)
        gates.move(CHAT_FREE, GateState.RUNNING)
        await wait_until(lambda: worker.keeper.lets_work_start(CHAT_FREE))


async def test_a_queue_that_cannot_be_consumed_is_tried_again(
    declared_url: str, management_url: str, channel: AbstractRobustChannel, gates: MemoryGates
) -> None:
    await channel.queue_delete(CHAT_FREE)
    async with _started(declared_url, gates, SOON) as worker:
        assert _actual(gates) == ("paused", 1)
        await declare(declared_url, management_url)
        await _publish(channel, "m1")
        await wait_until(lambda: worker.handled == ["m1"])


async def test_a_second_drain_changes_nothing(declared_url: str, gates: MemoryGates) -> None:
    async with _started(declared_url, gates, SOON) as worker:
        await worker.keeper.drain()
        assert _actual(gates) == ("paused", 0)


async def test_a_worker_that_never_started_drains(gates: MemoryGates) -> None:
    await GateKeeper(gates, worker="w1").drain()
    assert not gates.reports


def _in_flight(gates: MemoryGates) -> int:
    return gates.reports["w1", CHAT_FREE].in_flight
