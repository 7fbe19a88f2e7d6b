"""What a worker process remembers: read again at each hint and about every period."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
from aio_pika.abc import AbstractRobustConnection

from shared.domain.errors import DatabaseUnavailableError
from shared.messaging.control import FanoutHint
from shared.messaging.rounds import Refresh
from shared.messaging.worker_process import Connections, WorkerProcess
from shared.settings import BrokerSettings, ProcessSettings
from tests.support.fakes_of_chat import RecordingAttempts
from tests.support.messaging import MemoryGates, MemoryOutbox
from tests.support.waiting import wait_until

pytestmark = pytest.mark.integration

_NEVER = timedelta(hours=1)
_SOON = timedelta(milliseconds=50)


class Reading:
    """Counts how often it was read; fails when told to."""

    def __init__(self) -> None:
        self.reads = 0
        self.error: Exception | None = None

    async def __call__(self) -> None:
        self.reads += 1
        if self.error is not None:
            raise self.error


async def _started(url: str, *refreshes: Refresh) -> WorkerProcess:
    process = ProcessSettings.model_validate({"SLUICEWAY_DRAIN_SECONDS": 5})
    connections = await Connections.open(
        BrokerSettings.model_validate({"RABBITMQ_URL": url}), process
    )
    worker = WorkerProcess(
        connections,
        process,
        worker="worker-1",
        gates=MemoryGates(),
        outbox=MemoryOutbox(),
        attempts=RecordingAttempts(),
    )
    await worker.start(refreshes)
    return worker


@asynccontextmanager
async def _working(url: str, *refreshes: Refresh) -> AsyncGenerator[WorkerProcess]:
    worker = await _started(url, *refreshes)
    yield worker
    await worker.drain()


async def _read(count: int, *readings: Reading) -> None:
    await wait_until(lambda: {one.reads for one in readings} == {count})


async def test_a_hint_refreshes_everything_at_once(
    declared_url: str, connection: AbstractRobustConnection
) -> None:
    first, second = Reading(), Reading()
    refreshes = (Refresh("first", first, _NEVER), Refresh("second", second, _NEVER))
    async with _working(declared_url, *refreshes):
        hint = await FanoutHint.open(connection)
        for count in (1, 2):
            await hint.send()
            await _read(count, first, second)


async def test_without_hints_the_period_does(declared_url: str) -> None:
    reading = Reading()
    async with _working(declared_url, Refresh("test", reading, _SOON)):
        await wait_until(lambda: reading.reads >= 3)


async def test_an_outage_costs_rounds_and_not_the_process(declared_url: str) -> None:
    reading = Reading()
    reading.error = DatabaseUnavailableError("away")
    async with _working(declared_url, Refresh("test", reading, _SOON)) as worker:
        await wait_until(lambda: reading.reads >= 2)
        assert await worker.is_alive()


async def test_a_worker_whose_refresh_has_died_is_not_alive(declared_url: str) -> None:
    broken = Reading()
    broken.error = LookupError()
    worker = await _started(declared_url, Refresh("test", broken, _SOON))

    async def is_dead() -> bool:
        return not await worker.is_alive()

    await wait_until(is_dead)
    with pytest.raises(LookupError):
        await worker.drain()
