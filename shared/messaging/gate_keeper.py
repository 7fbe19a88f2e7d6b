"""Keeps a worker's queues in the state that ops and budgets want.

Invariants: nothing is consumed before its gate has been read; when the database is out of reach the
last state stays, and at boot that is "paused"; only one loop moves gates, so changes never race.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta

import structlog
from aio_pika.abc import AbstractRobustConnection
from faststream.rabbit.subscriber.usecase import RabbitSubscriber

from shared.domain.errors import DatabaseUnavailableError
from shared.domain.ids import QueueName
from shared.messaging.control import HintListener
from shared.messaging.gated_queue import GatedQueue
from shared.messaging.ticking import Ticker, start_rounds
from shared.ports.gates import GateRepository

_LOOK_AGAIN_SECONDS = 0.25
_log = structlog.stdlib.get_logger(__name__)


class GateKeeper:
    """One per worker process."""

    def __init__(
        self, gates: GateRepository, *, worker: str, period: timedelta = timedelta(seconds=2)
    ) -> None:
        """Build it with every queue shut.

        Args:
            gates: The truth.
            worker: Unique per process start; names this worker's reports and its hint queue.
            period: Between two looks at the truth when no hint comes.
        """
        self._gates = gates
        self._worker = worker
        self._ticker = Ticker(period, f"gates:{worker}")
        self._queues: dict[QueueName, GatedQueue] = {}
        self._hints: HintListener | None = None
        self._loop: asyncio.Task[None] | None = None
        self._draining = False

    def guard(self, queue: QueueName, subscriber: RabbitSubscriber) -> None:
        """Put a subscriber behind its queue's gate; it must not have been started."""
        self._queues[queue] = GatedQueue(queue, subscriber, self._ticker.wake)

    async def start(
        self, connection: AbstractRobustConnection, on_hint: Callable[[], None] = lambda: None
    ) -> None:
        """Read the gates, open those that may be, and listen for hints from now on.

        Args:
            connection: The consume broker's, already started.
            on_hint: Who else looks again at a hint.
        """

        def hear() -> None:
            self._ticker.wake()
            on_hint()

        self._hints = await HintListener.listen(connection, self._worker, hear)
        await self._reconcile()
        self._loop = start_rounds(self._run(), "gate-keeper")

    async def drain(self) -> None:
        """Shut every gate and wait for the handlers that run; call it when the process stops."""
        self._draining = True
        self._ticker.wake()
        if self._loop is not None:
            await self._loop
        if self._hints is not None:
            await self._hints.close()
        await asyncio.gather(*(gated.drain() for gated in self._queues.values()))
        await self._report()

    @property
    def is_alive(self) -> bool:
        """Whether gates are still obeyed; a process without that must be restarted."""
        return self._loop is not None and not self._loop.done()

    def lets_work_start(self, queue: QueueName) -> bool:
        """Tell, from memory, whether a provider call may start; ask before each."""
        has_ended = self._loop is not None and self._loop.done()
        return not has_ended and self._queues[queue].lets_work_start

    @asynccontextmanager
    async def slot(self, queue: QueueName) -> AsyncGenerator[None]:
        """Be one of the queue's running jobs; waits while `slowed` allows no more.

        At most as many jobs as the cap look for room in each worker, so what looking costs does not
        depend on the backlog; the claim decides. Ask `lets_work_start` inside it: the gate may have
        shut meanwhile.

        Raises:
            DatabaseUnavailableError: Nobody knows whether a slowed queue has room.
        """
        gated = self._queues[queue]
        async with gated.limiter.slot():
            while (cap := gated.cap) is not None:
                if await self._gates.calls_under_way(queue) < cap:
                    break
                await asyncio.sleep(_LOOK_AGAIN_SECONDS)
            yield

    async def _run(self) -> None:
        while True:
            await self._ticker.tick()
            if self._draining:
                return
            await self._reconcile()

    async def _reconcile(self) -> None:
        try:
            desired = await self._gates.desired([*self._queues])
        except DatabaseUnavailableError as error:
            _log.warning("gate.unreadable", error=str(error))
            return
        await asyncio.gather(
            *(
                gated.obey(desired[queue])
                for queue, gated in self._queues.items()
                if queue in desired
            )
        )
        await self._report()

    async def _report(self) -> None:
        try:
            await self._gates.report(
                self._worker, [gated.report for gated in self._queues.values()]
            )
        except DatabaseUnavailableError as error:
            _log.warning("gate.unreported", error=str(error))
