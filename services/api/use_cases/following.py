"""Follows a job to its end: the stored part first, then live frames, re-reading on any doubt.

Invariant: the watch begins before the first read, so that nothing falls between the two; the
database decides when frames are missing, late or doubled. The last event is the job's end.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from itertools import chain, repeat
from typing import NamedTuple

import structlog

from services.api.use_cases.cursor import Cursor, Reread
from services.api.use_cases.gates import Gates
from services.api.use_cases.refusals import not_found
from services.api.use_cases.results import Results, terminal_frame
from services.api.use_cases.watching import Missed, Received, Watch, Watches
from shared.domain.errors import DatabaseUnavailableError
from shared.domain.ids import JobId, UserId
from shared.domain.views import StreamState
from shared.domain.work import queued_view
from shared.messages.frames import TERMINAL_FRAMES, Frame, JobCompleted
from shared.ports.work import JobRepository

_IDLE_SECONDS = 10.0
"""How long a lost terminal frame can go unnoticed."""
_GAP_PAUSES_SECONDS = (0.05, 0.1, 0.2)
_LONGEST_GAP_PAUSE_SECONDS = 0.4

_log = structlog.stdlib.get_logger(__name__)


class Event(NamedTuple):
    """A frame's type and its JSON, ready to be sent."""

    type: str
    body: bytes


STILL_WAITING = Event("", b"")
"""Nothing has happened for a while; a sign of life for connections that need one."""


class Sources:
    """What a job's stored part is read from."""

    def __init__(self, jobs: JobRepository, gates: Gates, results: Results) -> None:
        self._jobs = jobs
        self._gates = gates
        self._results = results

    async def state(self, job_id: JobId, user_id: UserId) -> StreamState | None:
        """Return the stored part; None when the user has no such job."""
        return await self._jobs.stream_state(job_id, user_id)

    async def events(self, cursor: Cursor, state: StreamState) -> Sequence[Event]:
        """Return what the stored part adds, with the terminal event if the job is over."""
        waiting = await self._gates.waiting(state.job)
        events = [_event(frame) for frame in cursor.on_state(state, waiting)]
        last = terminal_frame(state.job)
        body = await self._results.terminal_json(state.job)
        if last is not None and body is not None:
            events.append(Event(last.type, body))
        return events


class FollowJob:
    """Lets clients follow their jobs; implements `JobEnds`."""

    def __init__(
        self, sources: Sources, watches: Watches, on_reread: Callable[[str], None]
    ) -> None:
        self._sources = sources
        self._watches = watches
        self._on_reread = on_reread

    @asynccontextmanager
    async def open(
        self, user_id: UserId, job_id: JobId, cursor: Cursor
    ) -> AsyncGenerator["Following"]:
        """Begin to watch; the job is known to exist when the block starts.

        Raises:
            RefusedError: The user has no such job.
            DatabaseUnavailableError: The stored part could not be read.
        """
        async with self._watches.watch(job_id) as watch:
            state = _as_accepted(watch, user_id) or await self._sources.state(job_id, user_id)
            if state is None:
                raise not_found("job", job_id)
            yield Following(self._sources, watch, cursor, (user_id, state), self._on_reread)

    async def ended(self, job_id: JobId, user_id: UserId, patience: timedelta) -> bool:
        """Return whether the job ended within `patience`."""
        try:
            async with (
                asyncio.timeout(patience.total_seconds()),
                self.open(user_id, job_id, Cursor(job_id)) as following,
            ):
                async for _ in following.events():
                    pass
                return following.is_over
        except TimeoutError:
            return False


class Following:
    """One watcher on its way through one job."""

    def __init__(
        self,
        sources: Sources,
        watch: Watch,
        cursor: Cursor,
        start: tuple[UserId, StreamState],
        on_reread: Callable[[str], None],
    ) -> None:
        self._sources = sources
        self._watch = watch
        self._cursor = cursor
        self._user_id, self._first = start
        self._job = self._first.job
        self._on_reread = on_reread
        self.is_over = False
        """Whether the job's end has been sent; False when the server stopped before."""
        self.was_left = False
        """Whether the client is gone."""

    def leave(self) -> None:
        """End the events early, because nobody reads them any more."""
        self.was_left = True
        self._watch.miss(Missed.CLOSED)

    async def events(self) -> AsyncIterator[Sequence[Event]]:
        """Yield everything the client lacks, in order, up to the job's end.

        Events that are there at the same time come together.
        """
        yield await self._from(self._first)
        while not self.is_over:
            received = await self._watch.next(_IDLE_SECONDS)
            if received is Missed.CLOSED:
                return
            if isinstance(received, Missed):
                yield await self._reread(received) or [STILL_WAITING]
                continue
            async for events in self._advance(received):
                yield events

    async def _advance(self, received: Received) -> AsyncIterator[Sequence[Event]]:
        pauses = chain(_GAP_PAUSES_SECONDS, repeat(_LONGEST_GAP_PAUSE_SECONDS))
        while not self.is_over:
            frames = self._next_frames(received.frame)
            if not isinstance(frames, Reread):
                self.is_over = bool(frames) and isinstance(frames[-1], TERMINAL_FRAMES)
                if frames:
                    yield [_sent_as_received(frame, received) for frame in frames]
                return
            if events := await self._reread(frames):
                yield events
            if not self.is_over:
                # The worker stores its text every now and then; asking faster finds nothing new.
                await asyncio.sleep(next(pauses))

    def _next_frames(self, frame: Frame) -> Sequence[Frame] | Reread:
        if isinstance(frame, JobCompleted) and self._job.kind != "chat":
            # The vectors are in the database, not in the frame.
            return Reread.RESULT
        return self._cursor.on_frame(frame)

    async def _reread(self, reason: Missed | Reread) -> Sequence[Event]:
        self._on_reread(reason)
        try:
            state = await self._sources.state(self._job.id, self._user_id)
            return [] if state is None else await self._from(state)
        except DatabaseUnavailableError as error:
            _log.warning("watch.unreadable", job_id=self._job.id, error=str(error))
            return []

    async def _from(self, state: StreamState) -> Sequence[Event]:
        events = await self._sources.events(self._cursor, state)
        self.is_over = terminal_frame(state.job) is not None
        return events


def _as_accepted(watch: Watch, user_id: UserId) -> StreamState | None:
    """Return what the database would have said before the watch's first frame."""
    job = watch.accepted
    if job is None or job.caller.user_id != user_id:
        return None
    return StreamState(queued_view(job), 0, "")


def _event(frame: Frame) -> Event:
    return Event(frame.type, frame.model_dump_json().encode())


def _sent_as_received(frame: Frame, received: Received) -> Event:
    return Event(frame.type, received.body) if frame is received.frame else _event(frame)
