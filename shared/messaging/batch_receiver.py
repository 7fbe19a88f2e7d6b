"""Receives messages by the batch: whatever arrived while the last batch was handled goes next.

FastStream hands over one message at a time at about 0.25 ms each, which alone would keep the
ledger below 4,000 events a second; here a message costs a decode. The rules are those of
`acknowledgement`: a batch is acknowledged once it is handled, a message that cannot be handled is
dead-lettered with a reason, and nothing goes back to its queue by NACK.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Final, Generic, TypeVar

import structlog
from aio_pika.abc import (
    AbstractIncomingMessage,
    AbstractQueue,
    AbstractRobustConnection,
)
from aio_pika.exceptions import AMQPError
from pydantic import ValidationError

from shared.domain.errors import SluicewayError, TransientError
from shared.domain.ids import QueueName
from shared.domain.outgoing import OutgoingMessage
from shared.messaging.acknowledgement import REASON_HEADER, undecodable, unexpected
from shared.messaging.publisher import ConfirmedPublisher
from shared.messaging.ticking import start_rounds
from shared.messaging.topology import DEAD_LETTERS

M = TypeVar("M")
_OUTAGE: Final = (AMQPError, ConnectionError, RuntimeError)
_HOLD_SECONDS: Final = 1.0
_PERIOD_SECONDS: Final = 0.05
"""From one batch's start to the next: a message that comes alone is handled at once, while a
stream of them shares commits, which cost more than the messages."""
_log = structlog.stdlib.get_logger(__name__)


class BatchReceiver(Generic[M]):
    """Consumes one queue; `start` it, and `drain` it at the end.

    Args:
        queue: On a channel of its own, whose prefetch is the largest batch.
        handle: Handles a batch and is safe to run twice for the same messages.
        decode: Raises `ValidationError` for a body that is none of ours.
        publisher: For dead letters.
    """

    def __init__(
        self,
        queue: AbstractQueue,
        handle: Callable[[Sequence[M]], Awaitable[None]],
        decode: Callable[[bytes], M],
        publisher: ConfirmedPublisher,
    ) -> None:
        self._queue = queue
        self._handle = handle
        self._decode = decode
        self._publisher = publisher
        self._arrived: list[AbstractIncomingMessage] = []
        self._look = asyncio.Event()
        self._draining = False
        self._consumer_tag: str | None = None
        self._loop: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to consume."""
        self._loop = start_rounds(self._run(), f"receiver:{self._queue.name}")
        self._consumer_tag = await self._queue.consume(self._hear)

    @property
    def is_alive(self) -> bool:
        """Whether batches are handled; a process without that must be restarted."""
        return self._loop is not None and not self._loop.done()

    async def drain(self) -> None:
        """Stop consuming and handle what has arrived."""
        if self._consumer_tag is not None:
            with suppress(*_OUTAGE):
                await self._queue.cancel(self._consumer_tag)
        self._draining = True
        self._look.set()
        if self._loop is not None:
            await self._loop

    async def _hear(self, message: AbstractIncomingMessage) -> None:
        self._arrived.append(message)
        self._look.set()

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while self._arrived or not self._draining:
            await self._look.wait()
            self._look.clear()
            began = loop.time()
            batch, self._arrived = self._arrived, []
            if batch:
                await self._receive(batch)
            if not self._draining:
                await asyncio.sleep(began + _PERIOD_SECONDS - loop.time())

    async def _receive(self, batch: Sequence[AbstractIncomingMessage]) -> None:
        decoded: list[tuple[AbstractIncomingMessage, M]] = []
        for message in batch:
            try:
                decoded.append((message, self._decode(message.body)))
            except ValidationError as error:
                await self._dead_letter(message, undecodable(error))
        await self._handle_all(decoded)
        with suppress(*_OUTAGE):  # the connection is gone: all come again and change nothing
            await batch[-1].ack(multiple=True)

    async def _handle_all(self, batch: Sequence[tuple[AbstractIncomingMessage, M]]) -> None:
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

    async def _dead_letter(self, message: AbstractIncomingMessage, reason: str) -> None:
        _log.error("delivery.dead_lettered", message_id=message.message_id, reason=reason)
        copy = OutgoingMessage(
            message_id=message.message_id or "",
            exchange=DEAD_LETTERS,
            routing_key=message.routing_key or "",
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


async def open_batch_receiver(
    connection: AbstractRobustConnection,
    queue: QueueName,
    handle: Callable[[Sequence[M]], Awaitable[None]],
    decode: Callable[[bytes], M],
    publisher: ConfirmedPublisher,
    *,
    prefetch: int,
) -> BatchReceiver[M]:
    """Return a receiver on a channel of its own; nothing is consumed yet.

    Args:
        connection: The consuming one.
        queue: Must exist.
        handle: As for `BatchReceiver`.
        decode: As for `BatchReceiver`.
        publisher: For dead letters.
        prefetch: The largest batch.
    """
    channel = connection.channel()
    await channel.initialize()
    await channel.set_qos(prefetch_count=prefetch)
    return BatchReceiver(await channel.get_queue(queue, ensure=True), handle, decode, publisher)
