"""Frames: what a client sees of its job while it runs and when it ends.

The same JSON goes over the `stream` exchange, the websocket, SSE and the durable log.
"""

from decimal import Decimal
from typing import Annotated, Literal

from pydantic import Field, JsonValue, PlainSerializer, TypeAdapter

from shared.domain.ids import JobId
from shared.domain.money import decimal_string
from shared.messages.envelope import Message

Usd = Annotated[Decimal, PlainSerializer(decimal_string, return_type=str, when_used="json")]


class WaitingFrame(Message):
    """Why a job waits."""

    reason: str
    until: str | None
    detail: str


class UsageFrame(Message):
    """What a job consumed; `neurons` is a decimal string, null when no neurons were involved."""

    input_tokens: int
    output_tokens: int
    neurons: Usd | None = None


class ErrorFrame(Message):
    """Why a job failed."""

    code: str
    message: str


class JobStatusFrame(Message):
    """The job's state changed without ending."""

    type: Literal["job.status"] = "job.status"
    job_id: JobId
    status: str
    waiting: WaitingFrame | None = None


class JobDelta(Message):
    """More text. `offset` counts Unicode code points from the attempt's start."""

    type: Literal["job.delta"] = "job.delta"
    job_id: JobId
    attempt: int
    offset: int
    text: str


class JobReset(Message):
    """The answer starts again at offset 0 with attempt `attempt`."""

    type: Literal["job.reset"] = "job.reset"
    job_id: JobId
    attempt: int
    reason: str


class JobCompleted(Message):
    """The job's result. `attempt` is the one whose text a chat's result is; None elsewhere."""

    type: Literal["job.completed"] = "job.completed"
    job_id: JobId
    attempt: int | None = None
    result: JsonValue
    usage: UsageFrame
    cost_usd: Usd
    provider: str
    model: str
    is_fallback: bool
    latency_ms: int


class JobFailed(Message):
    """The job ended without a result."""

    type: Literal["job.failed"] = "job.failed"
    job_id: JobId
    error: ErrorFrame


class JobCancelled(Message):
    """The job was cancelled before it started."""

    type: Literal["job.cancelled"] = "job.cancelled"
    job_id: JobId


class JobExpired(Message):
    """The job's deadline passed before it started; nothing was charged."""

    type: Literal["job.expired"] = "job.expired"
    job_id: JobId


Frame = Annotated[
    JobStatusFrame | JobDelta | JobReset | JobCompleted | JobFailed | JobCancelled | JobExpired,
    Field(discriminator="type"),
]
TERMINAL_FRAMES = (JobCompleted, JobFailed, JobCancelled, JobExpired)
FRAME: TypeAdapter[Frame] = TypeAdapter(Frame)
"""Decodes any frame; raises `pydantic.ValidationError`."""


def stream_key(job_id: JobId) -> str:
    """Return the routing key under which a job's frames travel: `job.<lane>.<id>`."""
    return f"job.{_lane(job_id)}.{job_id}"


def lane_pattern(job_id: JobId) -> str:
    """Return what a watcher binds: the frames of the job's lane, one of 256.

    Binding and unbinding each job would cost more than all its frames.
    """
    return f"job.{_lane(job_id)}.*"


def _lane(job_id: JobId) -> str:
    # An id ends in random hexadecimal digits, so that jobs spread evenly over the lanes.
    return job_id[-2:]
