"""Receives messages by the batch: whatever arrived while the last batch was handled goes next.

A message costs a decode here and nothing else. The rules are those of `acknowledgement`: a batch is
acknowledged once it is handled, a message that cannot be handled is dead-lettered with a reason,
and nothing goes back to its queue by NACK.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from itertools import islice
from typing import Final, Generic, TypeVar

import structlog
from pydantic import ValidationError

from shared.domain.errors import SluicewayError, TransientError
from shared.domain.outgoing import OutgoingMessage
from shared.messaging.acknowledgement import REASON_HEADER, undecodable, unexpected
from shared.messaging.delivery_frames import Delivery
from shared.messaging.publisher import ConfirmedPublisher
from shared.messaging.queue_reader import Batch, QueueReader
from shared.messaging.ticking import start_rounds
from shared.messaging.topology import DEAD_LETTERS

M = TypeVar("M")
_HOLD_SECONDS: Final = 1.0
_PERIOD_SECONDS: Final = 0.05
"""From one batch's start to the next: a message that comes alone is handled at once, while a
stream of them shares commits, which cost more than the messages."""
_log = structlog.stdlib.get_logger(__name__)


class BatchReceiver(Generic[M]):
    """Consumes one queue; `start` it, and `drain` it at the end.

    Args:
        reader: Of the queue; its prefetch is twice the largest batch, so that the next one arrives
            while this one is handled.
        handle: Handles a batch and is safe to run twice for the same messages.
        decode: Raises `ValidationError` for a body that is none of ours.
        publisher: For dead letters.
        largest: How many messages a batch has at most.
    """

    def __init__(
        self,
        reader: QueueReader,
        handle: Callable[[Sequence[M]], Awaitable[None]],
        decode: Callable[[bytes], M],
        publisher: ConfirmedPublisher,
        *,
        largest: int,
    ) -> None:
        self._reader = reader
        self._handle = handle
        self._decode = decode
        self._publisher = publisher
        self._largest = largest
        self._arrived: list[Batch] = []
        self._look = asyncio.Event()
        self._draining = False
        self._loop: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to consume.

        Raises:
            BrokerUnavailableError: The broker cannot be reached, or has no such queue.
        """
        self._reader.hear = self._hear
        await self._reader.start()
        self._loop = start_rounds(self._run(), "batch_receiver")

    @property
    def is_alive(self) -> bool:
        """Whether batches are handled; a process without that must be restarted."""
        return self._loop is not None and not self._loop.done() and self._reader.is_alive

    async def drain(self) -> None:
        """Stop consuming and handle what has arrived."""
        await self._reader.stop()
        self._draining = True
        self._look.set()
        if self._loop is not None:
            await self._loop
        self._reader.close()

    def _hear(self, batch: Batch) -> None:
        self._arrived.append(batch)
        self._look.set()

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while self._arrived or not self._draining:
            await self._look.wait()
            self._look.clear()
            began = loop.time()
            for batch in self._next():
                await self._receive(batch)
            if not self._draining and not self._is_behind:
                await asyncio.sleep(began + _PERIOD_SECONDS - loop.time())
            if self._arrived or self._draining:
                self._look.set()

    @property
    def _is_behind(self) -> bool:
        return sum(len(batch.deliveries) for batch in self._arrived) >= self._largest

    def _next(self) -> Sequence[Batch]:
        """Return what comes next, joined: one batch, or one more for each connection."""
        joined: list[Batch] = []
        room = self._largest
        while self._arrived and room > 0:
            first = self._arrived[0]
            taken = [*islice(first.deliveries, room)]
            rest = first.deliveries[len(taken) :]
            self._arrived[:1] = [Batch(rest, first.acknowledge)] if rest else []
            room -= len(taken)
            if joined and joined[-1].acknowledge == first.acknowledge:
                taken = [*joined.pop().deliveries, *taken]
            joined.append(Batch(taken, first.acknowledge))
        return joined

    async def _receive(self, batch: Batch) -> None:
        decoded: list[tuple[Delivery, M]] = []
        for delivery in batch.deliveries:
            try:
                decoded.append((delivery, self._decode(delivery.body)))
            except ValidationError as error:
                await self._dead_letter(delivery, undecodable(error))
        await self._handle_all(decoded)
        batch.acknowledge(batch.deliveries[-1])

    async def _handle_all(self, batch: Sequence[tuple[Delivery, M]]) -> None:
        if not batch:
            return
        error = await self._handled([body for _, body in batch])
        if error is None:
            return
        if len(batch) > 1:
            for one in batch:
                await self._handle_all([one])
            return
        await self._dead_letter(batch[0][0], unexpected(error))

    async def _handled(self, bodies: Sequence[M]) -> Exception | None:
        """Return None when handled; hold the batch while what it needs is away."""
        while True:
            # As a task, a bug in the handler is an outcome here, and its messages are kept.
            task = asyncio.ensure_future(self._handle(bodies))
            await asyncio.wait([task])
            error = task.exception()
            if error is None:
                return None
            if not isinstance(error, Exception):
                raise error
            if not isinstance(error, TransientError):
                return error
            _log.warning("batch.held", messages=len(bodies), error=str(error))
            await asyncio.sleep(_HOLD_SECONDS)

    async def _dead_letter(self, message: Delivery, reason: str) -> None:
        _log.error("delivery.dead_lettered", message_id=message.message_id, reason=reason)
        copy = OutgoingMessage(
            message_id=message.message_id,
            exchange=DEAD_LETTERS,
            routing_key=message.routing_key,
            body=message.body,
        )
        while True:
            try:
                await self._publisher.publish(copy, {REASON_HEADER: reason})
            except SluicewayError as error:
                _log.warning("dead_letter.held", message_id=copy.message_id, error=str(error))
                await asyncio.sleep(_HOLD_SECONDS)
            else:
                return
