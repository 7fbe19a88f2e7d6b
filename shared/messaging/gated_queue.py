"""One gated queue of a worker: its subscriber, its concurrency cap, and the state it is in.

Invariant: the state in memory is never more open than the last desired one. A subscriber is paused
to its end before it is resumed.
"""

import asyncio
from collections.abc import Callable
from typing import Final, Literal

import structlog
from aio_pika.exceptions import AMQPError
from faststream.rabbit.subscriber.usecase import RabbitSubscriber

from shared.domain.gates import Gate, GateState, QueueActual
from shared.domain.ids import QueueName
from shared.messaging.limiter import Limiter
from shared.messaging.pausing import pause, resume

Actual = Literal["running", "pausing", "paused"]

_RESUME_SECONDS: Final = 10.0
_log = structlog.stdlib.get_logger(__name__)


class GatedQueue:
    """Converges to the last gate it was shown; paused until the first."""

    def __init__(
        self, queue: QueueName, subscriber: RabbitSubscriber, on_paused: Callable[[], None]
    ) -> None:
        """Take the subscriber, not started yet, and whom to tell that a pause has ended."""
        self.limiter = Limiter()
        self._on_paused = on_paused
        self._queue = queue
        self._subscriber = subscriber
        self._gate: Gate | None = None
        self._actual: Actual = "paused"
        self._pausing: asyncio.Task[None] | None = None

    @property
    def lets_work_start(self) -> bool:
        """Whether a provider call may start, by the last gate known."""
        return self._gate is not None and self._gate.lets_work_start

    @property
    def cap(self) -> int | None:
        """How many calls may run at a time, over all workers; None while nothing limits them."""
        gate = self._gate
        return gate.concurrency if gate is not None and gate.desired is GateState.SLOWED else None

    @property
    def report(self) -> QueueActual:
        """What the worker does with the queue now."""
        generation = 0 if self._gate is None else self._gate.generation
        return QueueActual(self._queue, self._actual, generation, self.limiter.in_flight)

    async def obey(self, gate: Gate) -> None:
        """Take on a gate; returns while handlers still run, and `report` says `pausing`.

        Call it again later: what could not be done now, such as consuming while the broker is
        away, is done then.
        """
        if gate != self._gate:
            _log.info("gate.obeyed", queue=self._queue, desired=gate.desired, at=gate.generation)
        self._gate = gate
        self.limiter.set_limit(self.cap)
        if not gate.lets_work_start:
            self._start_pausing()
        elif self._actual == "paused":
            await self._resume()

    async def drain(self) -> None:
        """Stop consuming for good and wait for the handlers that run."""
        self._gate = None
        self.limiter.set_limit(None)
        self._start_pausing()
        if self._pausing is not None:
            await self._pausing

    def _start_pausing(self) -> None:
        if self._actual == "running":
            self._actual = "pausing"
            self._pausing = asyncio.create_task(self._pause(), name=f"pause-{self._queue}")

    async def _pause(self) -> None:
        await pause(self._subscriber)
        self._actual = "paused"
        self._on_paused()

    async def _resume(self) -> None:
        try:
            async with asyncio.timeout(_RESUME_SECONDS):
                await resume(self._subscriber)
        except (AMQPError, ConnectionError, TimeoutError, RuntimeError) as error:
            _log.warning("gate.not_resumed", queue=self._queue, error=type(error).__name__)
            # It may have come half way, with a consumer at the broker.
            await pause(self._subscriber)
        else:
            self._actual = "running"
