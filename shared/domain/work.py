"""Submitting and settling: the facts that cross the ports of the job's life."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from shared.domain.access import Caller
from shared.domain.ids import AttemptId, JobId, QueueName
from shared.domain.jobs import (
    AttemptOutcome,
    JobKind,
    JobStatus,
    OnInterrupt,
    Waiting,
)
from shared.domain.money import ZERO_USD
from shared.domain.outgoing import DelayedMessage, OutboxRow, OutgoingMessage
from shared.domain.pricing import DailyAllowance
from shared.domain.usage import NO_USAGE, TokenUsage
from shared.domain.views import ErrorView, JobView


@dataclass(frozen=True, slots=True)
class NewJob:
    """A job as accepted, with the command that starts it.

    Attributes:
        request_json: The request body as the worker needs it.
        request_hash: Tells two uses of one idempotency key apart.
        input_tokens_bound: No provider counts more input tokens than this.
        max_output_tokens: The most that may be generated.
    """

    id: JobId
    caller: Caller
    kind: JobKind
    queue: QueueName
    model: str
    request_json: str
    request_hash: bytes
    input_tokens_bound: int
    max_output_tokens: int
    on_interrupt: OnInterrupt
    deadline: datetime | None
    idempotency_key: str | None
    metadata_json: str | None
    created_at: datetime
    command: OutgoingMessage


def queued_view(job: NewJob) -> JobView:
    """Return a job as its owner sees it right after it was accepted."""
    return JobView(
        id=job.id,
        kind=job.kind,
        status=JobStatus.QUEUED,
        queue=job.queue,
        model_requested=job.model,
        created_at=job.created_at,
        started_at=None,
        finished_at=None,
        deadline=job.deadline,
        waiting=None,
        result_json=None,
        error=None,
        provider=None,
        model=None,
        usage=NO_USAGE,
        cost_usd=ZERO_USD,
        is_fallback=False,
        latency_ms=None,
        metadata_json=job.metadata_json,
        attempts=(),
    )


@dataclass(frozen=True, slots=True)
class Submitted:
    """The job is durable; `outbox` is its command, None when the key was used before."""

    job_id: JobId
    outbox: OutboxRow | None


@dataclass(frozen=True, slots=True)
class IdempotencyConflict:
    """The idempotency key was used with another body."""

    job_id: JobId


SubmitOutcome = Submitted | IdempotencyConflict


@dataclass(frozen=True, slots=True)
class AttemptResult:
    """How a provider call ended.

    Attributes:
        neurons: Computed from tokens; `usage` has what the provider reported.
        cost_usd: At list price. The settlement takes off what the allowance still covers.
        allowance: Which daily allowance the neurons are taken from; None when all is paid for.
    """

    outcome: AttemptOutcome
    usage: TokenUsage = NO_USAGE
    neurons: Decimal = Decimal(0)
    cost_usd: Decimal = Decimal(0)
    model_answered: str | None = None
    provider_request_id: str | None = None
    error: ErrorView | None = None
    allowance: DailyAllowance | None = None

    @property
    def is_lost_hedge(self) -> bool:
        """Tell whether the call was closed because the one beside it answered first."""
        return self.error is not None and self.error.is_lost_hedge


@dataclass(frozen=True, slots=True)
class JobSucceeds:
    """The job's last step: its result as JSON."""

    result_json: str


@dataclass(frozen=True, slots=True)
class JobFails:
    """The job ends without a result."""

    error: ErrorView


@dataclass(frozen=True, slots=True)
class JobContinues:
    """The same worker goes on with the job: another candidate or another batch."""


@dataclass(frozen=True, slots=True)
class JobWaits:
    """The job is queued again; one of the settlement's messages brings it back."""

    waiting: Waiting | None = None


JobStep = JobSucceeds | JobFails | JobContinues | JobWaits


@dataclass(frozen=True, slots=True)
class StoredVector:
    """One embedded text: `position` within the job, `vector` little-endian float32."""

    position: int
    vector: bytes


@dataclass(frozen=True, slots=True)
class Settlement:
    """One attempt's end and what follows from it, committed together.

    Attributes:
        terminal_frame: The event for the client's durable log when the job ends, else None.
        messages: Usage event, terminal frame, retry: whatever must leave after the commit.
        failures: 1 when the attempt brings the job nearer to its end, else 0.
    """

    job_id: JobId
    attempt_id: AttemptId
    worker: str
    result: AttemptResult
    step: JobStep
    messages: Sequence[DelayedMessage]
    finished_at: datetime
    latency_ms: int
    terminal_frame: bytes | None = None
    failures: int = 0


@dataclass(frozen=True, slots=True)
class SettledJob:
    """What a settlement did.

    Attributes:
        applied: False when the lease was lost and nothing changed.
        outbox: What must be sent, as it was committed.
        terminal_frame: The last event for the client as it was committed: it says what was paid,
            which may be less than the settlement said. None when the job goes on.
    """

    applied: bool
    outbox: Sequence[OutboxRow]
    terminal_frame: bytes | None = None
