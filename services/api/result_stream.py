"""Live frames from the broker to this replica's watchers.

One queue per process start takes the frames of the lanes in which somebody watches a job here; a
lane stays bound for a while, because binding costs the broker more than the frames of a job.
Invariant: watchers are told to read the database again whenever frames may have been lost — after
every reconnect — so that the broker may lose any of them.
"""

import asyncio
from collections import Counter, OrderedDict
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import Final

import structlog
from aio_pika.abc import (
    AbstractRobustChannel,
    AbstractRobustConnection,
    AbstractRobustQueue,
)
from aio_pika.exceptions import AMQPError
from aiormq.abc import DeliveredMessage
from pydantic import ValidationError

from services.api.use_cases.watching import Missed, Received, Watch
from shared.domain.ids import JobId
from shared.domain.work import NewJob
from shared.messages.frames import FRAME, lane_pattern, stream_key
from shared.messaging.topology import STREAM, results_queue

_OUTAGE: Final = (AMQPError, ConnectionError, TimeoutError, RuntimeError)
_BROKER_SECONDS: Final = 2.0
_RETRY_SECONDS: Final = 1.0
_DISMISSAL_SECONDS: Final = 2.0
_LINGER: Final = timedelta(minutes=1)
_EXPECTED_SECONDS: Final = 5.0
_EXPECTED_FRAMES: Final = 32
_MOST_EXPECTED: Final = 2_000
"""Most clients watch a job at once or not at all; all that is kept for them fits into 20 MB."""

_log = structlog.stdlib.get_logger(__name__)


class ResultStream:
    """Hands frames to watchers; implements `Watches`. Use it from one event loop."""

    def __init__(
        self,
        channel: AbstractRobustChannel,
        boot_id: str,
        on_watchers: Callable[[int], None],
        linger: timedelta,
    ) -> None:
        self._channel = channel
        self._linger_seconds = linger.total_seconds()
        self._boot_id = boot_id
        self._on_watchers = on_watchers
        self._queue: AbstractRobustQueue | None = None
        self._watches: dict[str, set[Watch]] = {}
        self._watcher_count = 0
        self._expected: OrderedDict[JobId, tuple[float, Watch]] = OrderedDict()
        self._watchers_by_lane: Counter[str] = Counter()
        self._idle_since: dict[str, float] = {}
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
        linger: timedelta = _LINGER,
    ) -> "ResultStream":
        """Declare the queue and consume from it.

        Args:
            connection: The consuming connection.
            boot_id: Unique per process start.
            on_watchers: Told how many watchers there are.
            linger: How long a lane stays bound after its last watcher has left.
        """
        channel = connection.channel()
        await channel.initialize()
        stream = cls(channel, boot_id, on_watchers, linger)
        async with stream._binding:
            await stream._subscribe()
        channel.reopen_callbacks.add(stream._on_reopened)
        stream._upkeep = asyncio.create_task(stream._keep_up(), name="result-stream")
        return stream

    @asynccontextmanager
    async def watch(self, job_id: JobId) -> AsyncGenerator[Watch]:
        """Collect the job's frames from now on until the block ends."""
        lane, watch = lane_pattern(job_id), self._joined(job_id)
        if self._is_closed:
            watch.miss(Missed.CLOSED)
        self._count(+1)
        try:
            # Cancelling a call to the broker would close the channel under every watcher.
            if lane not in self._bound:
                binding = asyncio.create_task(self._bind(lane))
                self._binds.add(binding)
                binding.add_done_callback(self._binds.discard)
                await asyncio.shield(binding)
            yield watch
        finally:
            # Nothing is awaited here: a cancelled watcher could not finish it.
            self._leave(job_id, watch)
            self._count(-1)
            self._left.set()

    def expect(self, job: NewJob) -> None:
        """Keep the frames of a job that is about to be queued, if its lane is bound already."""
        now = asyncio.get_running_loop().time()
        self._forget_expected(now)
        if self._is_closed or not self._is_bound or lane_pattern(job.id) not in self._bound:
            return
        watch = Watch(job, _EXPECTED_FRAMES)
        self._join(job.id, watch)
        self._expected[job.id] = (now, watch)

    async def dismiss_watchers(self) -> None:
        """Tell every watcher, present and future, to leave, and give them a moment for it."""
        self._is_closed = True
        for watch in self._every_watch():
            watch.miss(Missed.CLOSED)
        with suppress(TimeoutError):
            async with asyncio.timeout(_DISMISSAL_SECONDS):
                while self._watcher_count:
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

    def _joined(self, job_id: JobId) -> Watch:
        """Return the watch that has been kept for the job's first watcher, or a new one."""
        expected = self._expected.pop(job_id, None)
        if expected is not None:
            expected[1].begin()
            return expected[1]
        watch = Watch()
        self._join(job_id, watch)
        return watch

    def _join(self, job_id: JobId, watch: Watch) -> None:
        lane = lane_pattern(job_id)
        self._watches.setdefault(stream_key(job_id), set()).add(watch)
        self._watchers_by_lane[lane] += 1
        self._idle_since.pop(lane, None)

    def _forget_expected(self, now: float) -> None:
        while self._expected:
            job_id, (kept_at, watch) = next(iter(self._expected.items()))
            if now - kept_at < _EXPECTED_SECONDS and len(self._expected) < _MOST_EXPECTED:
                return
            del self._expected[job_id]
            self._leave(job_id, watch)

    def _leave(self, job_id: JobId, watch: Watch) -> None:
        key, lane = stream_key(job_id), lane_pattern(job_id)
        watches = self._watches[key]
        watches.discard(watch)
        if not watches:
            del self._watches[key]
        self._watchers_by_lane[lane] -= 1
        if not self._watchers_by_lane[lane]:
            del self._watchers_by_lane[lane]
            self._idle_since[lane] = asyncio.get_running_loop().time()

    async def _bind(self, lane: str) -> None:
        try:
            async with asyncio.timeout(_BROKER_SECONDS), self._binding:
                if lane not in self._bound and self._queue is not None:
                    await self._queue.bind(STREAM, lane, robust=False)
                    self._bound.add(lane)
        except _OUTAGE as error:
            # The watcher goes on from the database; the next subscription binds its lane.
            self._is_bound = False
            self._look.set()
            _log.warning("watch.not_bound", error=type(error).__name__)

    async def _keep_up(self) -> None:
        """Unbind lanes long idle, and subscribe again after every outage."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._linger_seconds / 4):
                    await self._look.wait()
            self._look.clear()
            try:
                async with self._binding, asyncio.timeout(_BROKER_SECONDS * 5):
                    if not self._is_bound:
                        await self._subscribe()
                    await self._unbind_idle()
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
        for lane in tuple(self._watchers_by_lane):
            await declared.bind(STREAM, lane, robust=False)
            self._bound.add(lane)
        if not self._is_consuming:
            # aio-pika's own messages are made for acknowledging; frames need none, by the thousand.
            channel = await self._channel.get_underlay_channel()
            await channel.basic_consume(
                declared.name, self._hear, no_ack=True, consumer_tag=self._boot_id
            )
            self._is_consuming = True
        self._queue = declared
        self._is_bound = True
        for watch in self._every_watch():
            watch.miss(Missed.RECONNECT)

    async def _unbind_idle(self) -> None:
        queue, now = self._queue, asyncio.get_running_loop().time()
        long_idle = [
            lane for lane, at in self._idle_since.items() if now - at > self._linger_seconds
        ]
        for lane in long_idle:
            if queue is not None and self._idle_since.pop(lane, None) is not None:
                self._bound.discard(lane)
                await queue.unbind(STREAM, lane)

    def _on_reopened(self, *_: object) -> None:
        self._is_consuming = False
        self._is_bound = False
        self._look.set()

    async def _hear(self, message: DeliveredMessage) -> None:
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

    def _count(self, change: int) -> None:
        self._watcher_count += change
        self._on_watchers(self._watcher_count)
