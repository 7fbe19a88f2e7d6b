"""One watcher's buffer between the broker and a client that may be slow.

Invariant: bounded. What does not fit is dropped and the watcher is told to read the stored part
again, so that a slow client costs memory to nobody.
"""

import asyncio
from collections import deque
from contextlib import AbstractAsyncContextManager
from enum import StrEnum
from typing import NamedTuple, Protocol

from shared.domain.ids import JobId
from shared.domain.work import NewJob
from shared.messages.frames import Frame

_MOST_BUFFERED = 1_000


class Received(NamedTuple):
    """A frame with the JSON it came as."""

    frame: Frame
    body: bytes


class Missed(StrEnum):
    """Why the stored part must be read again; `closed` means that the server stops."""

    IDLE = "idle"
    OVERFLOW = "overflow"
    RECONNECT = "reconnect"
    CLOSED = "closed"


class Watch:
    """What has arrived for one watcher; written and read on one event loop.

    Args:
        accepted: Set when every frame of the job is here, from its first: the job as it was then.
        most_buffered: How many frames wait at most.
    """

    def __init__(self, accepted: NewJob | None = None, most_buffered: int = _MOST_BUFFERED) -> None:
        self.accepted = accepted
        self._most_buffered = most_buffered
        self._buffer: deque[Received] = deque()
        self._missed: Missed | None = None
        self._arrived = asyncio.Event()

    def offer(self, received: Received) -> None:
        """Add a frame, or drop all of them when there are too many."""
        if len(self._buffer) >= self._most_buffered:
            self._buffer.clear()
            self.miss(Missed.OVERFLOW)
            return
        self._buffer.append(received)
        self._arrived.set()

    def begin(self) -> None:
        """Note that there is a reader now, for whom more may wait."""
        self._most_buffered = _MOST_BUFFERED

    def miss(self, reason: Missed) -> None:
        """Tell the watcher that frames may be missing, or that it must leave."""
        if self._missed is not Missed.CLOSED:
            self._missed = reason
        self._arrived.set()

    async def next(self, patience_seconds: float) -> Received | Missed:
        """Return the next frame, or why to read again; `idle` when nothing came for so long."""
        while True:
            if self._missed is Missed.CLOSED:
                return Missed.CLOSED
            if self._missed is not None:
                reason, self._missed = self._missed, None
                return reason
            if self._buffer:
                return self._buffer.popleft()
            self._arrived.clear()
            try:
                async with asyncio.timeout(patience_seconds):
                    await self._arrived.wait()
            except TimeoutError:
                return Missed.IDLE


class Watches(Protocol):
    """Where live frames come from."""

    def expect(self, job: NewJob) -> None:
        """Keep the frames of a job that is about to be queued, for whoever watches it soon.

        That watcher then needs nothing from the database. Best effort, and bounded.
        """
        ...

    def watch(self, job_id: JobId) -> AbstractAsyncContextManager[Watch]:
        """Collect the job's frames from now on until the block ends."""
        ...
