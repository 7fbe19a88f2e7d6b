"""The frame around a worker's handlers: connections, gates, relay, health, and a clean end.

A worker stops in this order: gates shut (nothing new is consumed), work under way finishes, the
outbox is relayed once more, connections close.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import structlog
import uvicorn
from aio_pika.abc import AbstractRobustConnection
from faststream.rabbit import RabbitBroker

from shared.domain.ids import QueueName
from shared.messaging.acknowledgement import AcknowledgedSubscriber
from shared.messaging.brokers import consume_broker, publish_broker, subscribe
from shared.messaging.control import FanoutHint
from shared.messaging.gate_keeper import GateKeeper
from shared.messaging.in_flight import InFlightJobs
from shared.messaging.outbox_relay import OutboxRelay
from shared.messaging.publisher import ConfirmedPublisher, FireAndForgetPublisher
from shared.messaging.rounds import Refresh, Rounds
from shared.observability.health import Check, health_app
from shared.observability.metrics import Metrics
from shared.observability.serving import StoppableServer
from shared.ports.gates import GateRepository
from shared.ports.messaging import Outbox
from shared.ports.work import AttemptRepository
from shared.settings import BrokerSettings, ProcessSettings

_log = structlog.stdlib.get_logger(__name__)
M = TypeVar("M")


@dataclass(frozen=True, slots=True)
class Connections:
    """Both brokers of a process, and what is published through the second."""

    consume: RabbitBroker
    consuming: AbstractRobustConnection
    publish: RabbitBroker
    publisher: ConfirmedPublisher
    frames: FireAndForgetPublisher
    hint: FanoutHint

    @classmethod
    async def open(cls, broker: BrokerSettings, process: ProcessSettings) -> "Connections":
        """Connect both brokers.

        Raises:
            BrokerUnavailableError: The broker cannot be reached.
        """
        drain = timedelta(seconds=process.drain_seconds)
        consume = consume_broker(broker.url, process.name, drain)
        publish = publish_broker(broker.url, process.name)
        consuming = await consume.connect()
        publishing = await publish.connect()
        await consume.start()
        return cls(
            consume,
            consuming,
            publish,
            await ConfirmedPublisher.open(publishing),
            await FireAndForgetPublisher.open(publishing),
            await FanoutHint.open(publishing),
        )

    async def broker_answers(self) -> bool:
        """Tell whether the broker answers on the consuming connection."""
        return await self.consume.ping(timeout=1)

    async def close(self) -> None:
        """Close both brokers."""
        await self.consume.stop()
        await self.publish.stop()


async def serve_health(
    process: ProcessSettings, checks: Mapping[str, Check], metrics: Metrics
) -> None:
    """Answer health checks until SIGTERM or SIGINT."""
    config = uvicorn.Config(
        health_app(checks, metrics),
        host=process.host,
        port=process.port,
        loop="uvloop",
        http="httptools",
        ws="none",
        lifespan="off",
        access_log=False,
        log_config=None,
        timeout_graceful_shutdown=1,
    )
    await StoppableServer(config).serve()


class WorkerProcess:
    """A worker with gated queues.

    Args:
        connections: Open.
        process: Name, address and limits.
        worker: Unique per process start.
        gates: The truth about queues.
        outbox: Where committed messages wait.
        attempts: Where leases are extended.
    """

    def __init__(
        self,
        connections: Connections,
        process: ProcessSettings,
        *,
        worker: str,
        gates: GateRepository,
        outbox: Outbox,
        attempts: AttemptRepository,
    ) -> None:
        self._connections = connections
        self._process = process
        self._worker = worker
        self._refreshes: Sequence[Rounds] = ()
        self._to_let_go: Sequence[Refresh] = ()
        self.relay = OutboxRelay(outbox, connections.publisher, worker=worker)
        self.keeper = GateKeeper(gates, worker=worker)
        self.in_flight = InFlightJobs(
            attempts, worker=worker, lease=timedelta(seconds=process.lease_seconds)
        )

    def subscribe(
        self,
        queue: QueueName,
        handle: Callable[[M], Awaitable[None]],
        decode: Callable[[bytes], M],
    ) -> None:
        """Put a handler behind a queue's gate; consuming begins with `serve`."""
        receiver = AcknowledgedSubscriber(handle, decode, self._connections.publisher)
        subscriber = subscribe(
            self._connections.consume, queue, receiver.receive, prefetch=self._process.prefetch
        )
        self.keeper.guard(queue, subscriber)

    async def serve(
        self, database_answers: Check, metrics: Metrics, refreshes: Sequence[Refresh] = ()
    ) -> None:
        """Work until SIGTERM or SIGINT, then drain.

        Args:
            database_answers: For the health checks.
            metrics: What is shown.
            refreshes: What is read again at each hint and now and then; it was read once before.
        """
        await self.start(refreshes)
        checks = {
            "broker": self._connections.broker_answers,
            "database": database_answers,
            "loops": self.is_alive,
        }
        _log.info("worker.started")
        await serve_health(self._process, checks, metrics)
        await self.drain()

    async def start(self, refreshes: Sequence[Refresh] = ()) -> None:
        """Begin to work, and to refresh."""
        self._to_let_go = refreshes
        self._refreshes = [
            Rounds(f"{one.name}:{self._worker}", one.period, one.action) for one in refreshes
        ]
        self.relay.start()
        self.in_flight.start()
        for one in self._refreshes:
            one.start()
        await self.keeper.start(self._connections.consuming, self._refresh)

    async def drain(self) -> None:
        """Let nothing begin, finish what runs, and close the connections."""
        _log.info("worker.draining")
        for refresh in self._to_let_go:
            refresh.let_go()
        await self.keeper.drain()
        try:
            async with asyncio.timeout(self._process.drain_seconds):
                await self.in_flight.drain()
        except TimeoutError:  # what is left is charged and requeued when its lease ends
            _log.warning("worker.drain_cut", seconds=self._process.drain_seconds)
        for one in self._refreshes:
            await one.drain()
        await self.relay.drain()
        await self._connections.close()
        for one in self._refreshes:
            await one.drain()
        _log.info("worker.stopped")

    def _refresh(self) -> None:
        for one in self._refreshes:
            one.wake()

    async def is_alive(self) -> bool:
        """Tell whether every loop runs; a process without one must be restarted."""
        are_fresh = all(one.is_alive for one in self._refreshes)
        return (
            self.keeper.is_alive and self.relay.is_alive and self.in_flight.is_alive and are_fresh
        )
