"""Live frames from the broker to this replica's watchers.

One queue per process start takes the frames of exactly those jobs that somebody watches here.
Invariant: watchers are told to read the database again whenever frames may have been lost — after
every reconnect — so that the broker may lose any of them.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Final

import structlog
from aio_pika.abc import (
    AbstractIncomingMessage,
    AbstractRobustChannel,
    AbstractRobustConnection,
    AbstractRobustQueue,
)
from aio_pika.exceptions import AMQPError
from pydantic import ValidationError

from services.api.use_cases.watching import Missed, Received, Watch
from shared.domain.ids import JobId
from shared.messages.frames import FRAME, stream_key
from shared.messaging.topology import STREAM, results_queue

_OUTAGE: Final = (AMQPError, ConnectionError, TimeoutError, RuntimeError)
_BROKER_SECONDS: Final = 2.0
_RETRY_SECONDS: Final = 1.0
_DISMISSAL_SECONDS: Final = 2.0

_log = structlog.stdlib.get_logger(__name__)


class ResultStream:
    """Hands frames to watchers; implements `Watches`. Use it from one event loop."""

    def __init__(
        self,
        channel: AbstractRobustChannel,
        boot_id: str,
        on_watchers: Callable[[int], None],
    ) -> None:
        self._channel = channel
        self._boot_id = boot_id
        self._on_watchers = on_watchers
        self._queue: AbstractRobustQueue | None = None
        self._watches: dict[str, set[Watch]] = {}
        self._bound: set[str] = set()
        self._binds: set[asyncio.Task[None]] = set()
        self._binding = asyncio.Lock()
        self._look = asyncio.Event()
        self._left = asyncio.Event()
        self._is_consuming = False
        self._is_bound = False
        self._is_closed = False
        self._upkeep: asyncio.Task[None] | None = None

    @classmethod
    async def open(
        cls,
        connection: AbstractRobustConnection,
        boot_id: str,
        on_watchers: Callable[[int], None],
    ) -> "ResultStream":
        """Declare the queue and consume from it.

        Args:
            connection: The consuming connection.
            boot_id: Unique per process start.
            on_watchers: Told how many watchers there are.
        """
        channel = connection.channel()
        await channel.initialize()
        stream = cls(channel, boot_id, on_watchers)
        async with stream._binding:
            await stream._subscribe()
        channel.reopen_callbacks.add(stream._on_reopened)
        stream._upkeep = asyncio.create_task(stream._keep_up(), name="result-stream")
        return stream

    @asynccontextmanager
    async def watch(self, job_id: JobId) -> AsyncGenerator[Watch]:
        """Collect the job's frames from now on until the block ends."""
        key, watch = stream_key(job_id), Watch()
        if self._is_closed:
            watch.miss(Missed.CLOSED)
        self._watches.setdefault(key, set()).add(watch)
        self._count()
        try:
            # Cancelling a call to the broker would close the channel under every watcher.
            binding = asyncio.create_task(self._bind(key))
            self._binds.add(binding)
            binding.add_done_callback(self._binds.discard)
            await asyncio.shield(binding)
            yield watch
        finally:
            # Nothing is awaited here: a cancelled watcher could not finish it.
            self._leave(key, watch)

    async def dismiss_watchers(self) -> None:
        """Tell every watcher, present and future, to leave, and give them a moment for it."""
        self._is_closed = True
        for watch in self._every_watch():
            watch.miss(Missed.CLOSED)
        with suppress(TimeoutError):
            async with asyncio.timeout(_DISMISSAL_SECONDS):
                while self._watches:
                    self._left.clear()
                    await self._left.wait()

    async def close(self) -> None:
        """Stop consuming; the queue vanishes by itself."""
        await self.dismiss_watchers()
        self._channel.reopen_callbacks.discard(self._on_reopened)
        if self._upkeep is not None:
            self._upkeep.cancel()
            await asyncio.wait([self._upkeep])
        await self._channel.close()

    def _leave(self, key: str, watch: Watch) -> None:
        watches = self._watches[key]
        watches.discard(watch)
        if not watches:
            del self._watches[key]
            self._look.set()
        self._left.set()
        self._count()

    async def _bind(self, key: str) -> None:
        try:
            async with asyncio.timeout(_BROKER_SECONDS), self._binding:
                if key not in self._bound and self._queue is not None:
                    await self._queue.bind(STREAM, key, robust=False)
                    self._bound.add(key)
        except _OUTAGE as error:
            # The watcher goes on from the database; the next subscription binds its key.
            self._is_bound = False
            self._look.set()
            _log.warning("watch.not_bound", error=type(error).__name__)

    async def _keep_up(self) -> None:
        """Unbind what nobody watches any more, and subscribe again after every outage."""
        while True:
            await self._look.wait()
            self._look.clear()
            try:
                async with self._binding, asyncio.timeout(_BROKER_SECONDS * 5):
                    if not self._is_bound:
                        await self._subscribe()
                    await self._unbind_unwatched()
            except _OUTAGE as error:
                _log.warning("watch.upkeep_failed", error=type(error).__name__)
                await asyncio.sleep(_RETRY_SECONDS)
                self._look.set()

    async def _subscribe(self) -> None:
        queue = results_queue(self._boot_id)
        declared = await self._channel.declare_queue(
            queue.name, durable=queue.durable, arguments=dict(queue.arguments), robust=False
        )
        self._bound.clear()
        for key in tuple(self._watches):
            await declared.bind(STREAM, key, robust=False)
            self._bound.add(key)
        if not self._is_consuming:
            await declared.consume(
                self._hear, no_ack=True, consumer_tag=self._boot_id, robust=False
            )
            self._is_consuming = True
        self._queue = declared
        self._is_bound = True
        for watch in self._every_watch():
            watch.miss(Missed.RECONNECT)

    async def _unbind_unwatched(self) -> None:
        queue = self._queue
        for key in [key for key in self._bound if key not in self._watches]:
            if queue is not None and key not in self._watches:
                self._bound.discard(key)
                await queue.unbind(STREAM, key)

    def _on_reopened(self, *_: object) -> None:
        self._is_consuming = False
        self._is_bound = False
        self._look.set()

    async def _hear(self, message: AbstractIncomingMessage) -> None:
        watches = self._watches.get(message.routing_key or "")
        if not watches:
            return
        try:
            received = Received(FRAME.validate_json(message.body), message.body)
        except ValidationError as error:
            _log.warning("watch.undecodable", errors=error.error_count())
            return
        for watch in tuple(watches):
            watch.offer(received)

    def _every_watch(self) -> list[Watch]:
        return [watch for watches in self._watches.values() for watch in watches]

    def _count(self) -> None:
        self._on_watchers(sum(len(watches) for watches in self._watches.values()))
