"""Jobs and attempts as their owner sees them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from shared.domain.catalog import Provider
from shared.domain.ids import AttemptId, JobId, QueueName
from shared.domain.jobs import AttemptOutcome, JobKind, JobStatus, Waiting
from shared.domain.rollout import Arm
from shared.domain.usage import TokenUsage

HEDGE_LOST = "hedge_lost"
"""The code of a call that was closed because the one beside it answered first."""


@dataclass(frozen=True, slots=True)
class ErrorView:
    """A failure as users see it."""

    code: str
    message: str

    @property
    def is_lost_hedge(self) -> bool:
        """Tell whether nothing failed: the call beside this one was faster."""
        return self.code == HEDGE_LOST


@dataclass(frozen=True, slots=True)
class AttemptView:
    """One provider call as users see it; one that was skipped has no id and no number."""

    id: AttemptId | None
    number: int | None
    provider: Provider
    model: str
    model_answered: str | None
    outcome: AttemptOutcome
    error: ErrorView | None
    usage: TokenUsage
    cost_usd: Decimal
    assumed: bool
    started_at: datetime
    latency_ms: int | None
    is_diverted: bool = False
    arm: Arm | None = None
    is_hedge: bool = False


@dataclass(frozen=True, slots=True)
class JobView:
    """A job as its owner sees it; `attempts` and `result_json` are empty in lists."""

    id: JobId
    kind: JobKind
    status: JobStatus
    queue: QueueName
    model_requested: str
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    deadline: datetime | None
    waiting: Waiting | None
    result_json: str | None
    error: ErrorView | None
    provider: Provider | None
    model: str | None
    usage: TokenUsage
    cost_usd: Decimal
    is_fallback: bool
    latency_ms: int | None
    metadata_json: str | None
    attempts: Sequence[AttemptView]


@dataclass(frozen=True, slots=True)
class StreamState:
    """What a client that joins now must know: the job, and the current attempt's text so far.

    `attempt_number` is 0 while nobody knows: no attempt was made, or two run side by side.
    """

    job: JobView
    attempt_number: int
    text: str
