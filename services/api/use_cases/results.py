"""Results as clients get them, and the last frame of a job, both made from the job's view.

The stored result of an embed job says how many vectors there are; the vectors themselves are put
in when somebody asks.
"""

from collections.abc import Mapping
from typing import Protocol, assert_never

import orjson

from services.api.schemas.jobs import error_frame, usage_frame
from services.api.use_cases.vectors import embeddings_json
from shared.domain.embedding_space import EmbeddingSpace
from shared.domain.ids import JobId
from shared.domain.jobs import AttemptOutcome, JobKind, JobStatus
from shared.domain.views import JobView
from shared.messages.frames import (
    ErrorFrame,
    JobCancelled,
    JobCompleted,
    JobExpired,
    JobFailed,
)

TerminalFrame = JobCompleted | JobFailed | JobCancelled | JobExpired


class StoredEmbeddings(Protocol):
    """What the API needs of `EmbeddingRepository`: vectors that are there."""

    async def results(self, job_id: JobId) -> tuple[EmbeddingSpace, Mapping[int, bytes]] | None:
        """Return an embed job's vectors by position (little-endian float32) and their space."""
        ...


class Results:
    """Completes stored results."""

    def __init__(self, embeddings: StoredEmbeddings) -> None:
        self._embeddings = embeddings

    async def result_json(self, view: JobView) -> bytes | None:
        """Return the job's result as JSON, vectors included; None when it has none."""
        if view.result_json is None:
            return None
        if view.kind is JobKind.EMBED and view.status is JobStatus.SUCCEEDED:
            found = await self._embeddings.results(view.id)
            if found is not None:
                return embeddings_json(*found)
        return view.result_json.encode()

    async def terminal_json(self, view: JobView) -> bytes | None:
        """Return a finished job's last frame as JSON; None while it is not finished."""
        frame = terminal_frame(view)
        if frame is None:
            return None
        result = await self.result_json(view) if isinstance(frame, JobCompleted) else None
        if result is None:
            return frame.model_dump_json().encode()
        return orjson.dumps({**frame.model_dump(mode="json"), "result": orjson.Fragment(result)})


def terminal_frame(view: JobView) -> TerminalFrame | None:
    """Return a finished job's last frame, its result left empty; None while it is not finished."""
    match view.status:
        case JobStatus.QUEUED | JobStatus.RUNNING:
            return None
        case JobStatus.SUCCEEDED:
            return _completed(view)
        case JobStatus.FAILED:
            error = error_frame(view.error)
            return JobFailed(
                job_id=view.id,
                error=error or ErrorFrame(code="unknown", message="the job failed"),
            )
        case JobStatus.CANCELLED:
            return JobCancelled(job_id=view.id)
        case JobStatus.EXPIRED:
            return JobExpired(job_id=view.id)
        case _:
            assert_never(view.status)


def answer_text(view: JobView) -> str | None:
    """Return the whole answer of a chat job that succeeded, else None."""
    if view.kind is not JobKind.CHAT or view.status is not JobStatus.SUCCEEDED:
        return None
    return answer_of(None if view.result_json is None else orjson.loads(view.result_json))


def answer_of(result: object) -> str | None:
    """Return the text of a chat result; None when it has another shape."""
    match result:
        case {"message": {"content": str(content)}}:
            return content
        case _:
            return None


def answering_attempt(view: JobView) -> int | None:
    """Return the number of the attempt whose answer is a chat job's result."""
    if view.kind is not JobKind.CHAT:
        return None
    succeeded = (one.number for one in view.attempts if one.outcome is AttemptOutcome.SUCCEEDED)
    return max((number for number in succeeded if number), default=None)


def _completed(view: JobView) -> JobCompleted:
    return JobCompleted(
        job_id=JobId(view.id),
        attempt=answering_attempt(view),
        result=None,
        usage=usage_frame(view.usage),
        cost_usd=view.cost_usd,
        provider=view.provider or "",
        model=view.model or view.model_requested,
        is_fallback=view.is_fallback,
        latency_ms=view.latency_ms or 0,
    )
