"""Where one watcher stands in a job's stream, and what it must be sent next.

Invariant: within an attempt the texts sent lie end to end, without overlap and without gap; a new
attempt is announced by a reset and starts at offset 0. Offsets count Unicode code points.
"""

from collections.abc import Sequence
from enum import StrEnum

from services.api.schemas.jobs import waiting_frame
from services.api.use_cases.results import answer_of, answer_text, answering_attempt
from shared.domain.ids import JobId
from shared.domain.jobs import JobStatus, Waiting
from shared.domain.views import AttemptView, StreamState
from shared.messages.frames import Frame, JobCompleted, JobDelta, JobReset, JobStatusFrame

_RESTARTED = "a new attempt answers from the start"


class Reread(StrEnum):
    """The stored part must be read again before anything else is sent."""

    GAP = "gap"
    RESULT = "result"


class Cursor:
    """One watcher's place: the attempt it follows and how much of its text it has."""

    def __init__(self, job_id: JobId, *, offset: int = 0, attempt: int | None = None) -> None:
        """Start where the client says it is.

        Args:
            job_id: The job that is watched.
            offset: How many code points of the attempt's text the client has.
            attempt: Which attempt; None for the current one.
        """
        self._job_id = job_id
        self._attempt = attempt
        self._offset = offset
        self._named_attempt = attempt is not None
        self._status: JobStatusFrame | None = None

    def on_state(self, state: StreamState, waiting: Waiting | None) -> Sequence[Frame]:
        """Return what the stored part adds to what was sent."""
        job = state.job
        frames: list[Frame] = []
        if job.status in {JobStatus.QUEUED, JobStatus.RUNNING}:
            status = JobStatusFrame(
                job_id=job.id, status=job.status, waiting=waiting_frame(waiting)
            )
            frames.extend(self._on_status(status))
        return [*frames, *self._on_stored(state)]

    def on_frame(self, frame: Frame) -> Sequence[Frame] | Reread:
        """Return what a live frame adds, or that something before it is missing."""
        match frame:
            case JobStatusFrame():
                return self._on_status(frame)
            case JobReset():
                return self._on_reset(frame)
            case JobDelta():
                return self._on_delta(frame)
            case JobCompleted():
                return self._on_completed(frame)
            case _:
                return [frame]

    def _on_stored(self, state: StreamState) -> Sequence[Frame]:
        number, text = _stored_part(state)
        newest = max(number, *map(_number_of_text, state.job.attempts), 0)
        entered: Sequence[Frame] = ()
        if self._attempt is not None and newest and self._attempt > newest:
            entered = self._enter(newest)
        if not number or (self._attempt is not None and number < self._attempt):
            # What is stored belongs to an attempt that the client has left behind.
            return entered
        return [*entered, *self._enter(number), *self._text(number, 0, text)]

    def _on_status(self, frame: JobStatusFrame) -> Sequence[Frame]:
        if frame == self._status:
            return []
        self._status = frame
        return [frame]

    def _on_reset(self, frame: JobReset) -> Sequence[Frame]:
        if self._attempt is not None and frame.attempt <= self._attempt:
            return []
        self._attempt, self._offset = frame.attempt, 0
        return [frame]

    def _on_delta(self, frame: JobDelta) -> Sequence[Frame] | Reread:
        if self._attempt is not None and frame.attempt < self._attempt:
            return []
        has = self._offset if self._attempt in {None, frame.attempt} else 0
        if frame.offset > has:
            return Reread.GAP
        return [
            *self._enter(frame.attempt),
            *self._text(frame.attempt, frame.offset, frame.text),
        ]

    def _on_completed(self, frame: JobCompleted) -> Sequence[Frame] | Reread:
        """The frame has the whole answer: what the client lacks of it goes first."""
        answer = answer_of(frame.result)
        if answer is None:
            return [frame]
        number = frame.attempt
        if number is None or (self._attempt is not None and number < self._attempt):
            return Reread.GAP
        return [*self._enter(number), *self._text(number, 0, answer), frame]

    def _enter(self, attempt: int) -> Sequence[Frame]:
        """Follow `attempt` from now on; a reset when the client has another one's text."""
        if self._attempt == attempt:
            return []
        told = self._attempt is not None and (self._offset > 0 or self._named_attempt)
        if self._attempt is not None:
            self._offset = 0
        self._attempt = attempt
        self._named_attempt = False
        if not told:
            return []
        return [JobReset(job_id=self._job_id, attempt=attempt, reason=_RESTARTED)]

    def _text(self, attempt: int, offset: int, text: str) -> Sequence[Frame]:
        new = text[self._offset - offset :]
        if not new:
            return []
        frame = JobDelta(job_id=self._job_id, attempt=attempt, offset=self._offset, text=new)
        self._offset += len(new)
        return [frame]


def _number_of_text(attempt: AttemptView) -> int:
    """Return the number by which an attempt's text is known; 0 where none is ever shown."""
    if attempt.error is not None and attempt.error.is_lost_hedge:
        return 0
    return attempt.number or 0


def _stored_part(state: StreamState) -> tuple[int, str]:
    """Return the current attempt's number and the text of it that is stored."""
    answer = answer_text(state.job)
    if answer is not None:
        return answering_attempt(state.job) or max(state.attempt_number, 1), answer
    return state.attempt_number, state.text
