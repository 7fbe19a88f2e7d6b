"""An answer on its way to whoever watches: coalesced chunks, and checkpoints for late joiners.

The first piece leaves at once; after that a chunk leaves every 40 ms or 256 characters, whichever
comes first. What still waits when the answer is whole travels in the job's last frame, which has
all of it. Offsets count Unicode code points from the attempt's start.
"""

import asyncio
from dataclasses import dataclass

import structlog

from shared.domain.errors import DatabaseUnavailableError
from shared.domain.ids import AttemptId, JobId
from shared.messages.frames import JobDelta, JobReset, stream_key
from shared.ports.clock import Clock
from shared.ports.messaging import StreamPublisher
from shared.ports.work import AttemptRepository

_log = structlog.stdlib.get_logger(__name__)
_CHUNK_SECONDS = 0.04
_CHUNK_CHARACTERS = 256
_CHECKPOINT_SECONDS = 0.5
_REPLACEMENT = "\ufffd"
"""Stands for NUL, which PostgreSQL takes neither in text nor in JSON."""


@dataclass(frozen=True, slots=True)
class StreamPorts:
    """Where chunks and checkpoints go."""

    frames: StreamPublisher
    attempts: AttemptRepository
    clock: Clock


class AnswerStream:
    """One attempt's answer.

    Args:
        ports: Where chunks and checkpoints go.
        job_id: Whose answer it is.
        attempt_id: Of the attempt.
        number: Of the attempt within the job.
    """

    def __init__(
        self, ports: StreamPorts, job_id: JobId, attempt_id: AttemptId, number: int
    ) -> None:
        self._ports = ports
        self._job_id = job_id
        self._attempt_id = attempt_id
        self._number = number
        self._pieces: list[str] = []
        self._waiting: list[str] = []
        self._waiting_length = 0
        self._sent_length = 0
        self._order = asyncio.Lock()
        self._timer: asyncio.TimerHandle | None = None
        self._background: set[asyncio.Task[None]] = set()
        self._checkpoint_due = ports.clock.monotonic() + _CHECKPOINT_SECONDS

    @property
    def text(self) -> str:
        """Return the answer so far."""
        return "".join(self._pieces)

    @property
    def text_was_sent(self) -> bool:
        """Tell whether a client may have seen a part of the answer."""
        return self._sent_length > 0

    async def restart(self, reason: str) -> None:
        """Tell clients that the answer starts again with this attempt."""
        frame = JobReset(job_id=self._job_id, attempt=self._number, reason=reason)
        await self._send(frame.model_dump_json().encode())

    async def add(self, text: str) -> None:
        """Take the next piece of the answer."""
        if not text:
            return
        text = text.replace("\0", _REPLACEMENT)
        self._pieces.append(text)
        self._waiting.append(text)
        self._waiting_length += len(text)
        if not self.text_was_sent or self._waiting_length >= _CHUNK_CHARACTERS:
            await self.flush()
        elif self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(_CHUNK_SECONDS, self._in_background_flush)
        if self._ports.clock.monotonic() >= self._checkpoint_due:
            self._checkpoint_due = self._ports.clock.monotonic() + _CHECKPOINT_SECONDS
            self._in_background(asyncio.create_task(self._checkpoint()))

    async def flush(self) -> None:
        """Send what waits."""
        self._cancel_timer()
        if not self._waiting:
            return
        text = "".join(self._waiting)
        self._waiting.clear()
        self._waiting_length = 0
        delta = JobDelta(
            job_id=self._job_id, attempt=self._number, offset=self._sent_length, text=text
        )
        self._sent_length += len(text)
        await self._send(delta.model_dump_json().encode())

    async def close(self) -> None:
        """Let no chunk leave any more."""
        self._cancel_timer()
        if self._background:
            await asyncio.gather(*self._background)

    def _in_background_flush(self) -> None:
        self._timer = None
        self._in_background(asyncio.create_task(self.flush()))

    def _in_background(self, task: asyncio.Task[None]) -> None:
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    async def _send(self, body: bytes) -> None:
        async with self._order:
            await self._ports.frames.send(stream_key(self._job_id), body)

    async def _checkpoint(self) -> None:
        try:
            await self._ports.attempts.checkpoint(
                self._job_id, self._attempt_id, self._number, self.text
            )
        except DatabaseUnavailableError as error:
            # A late joiner waits a little longer; an answer that is paid for goes on.
            _log.warning("answer.not_checkpointed", job_id=self._job_id, error=str(error))
