"""A job's life: the states it passes through and which step may follow which."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class JobKind(StrEnum):
    """What a job asks for; `ingest` is one slice of a document ingestion."""

    CHAT = "chat"
    EMBED = "embed"
    INGEST = "ingest"


class JobStatus(StrEnum):
    """Where a job stands; the last four are final."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


class AttemptOutcome(StrEnum):
    """How one provider call ended.

    `unknown` means that its worker died and the hold was charged. `skipped` is shown in the place
    of a call that was not made, because the provider was let alone just then.
    """

    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    UNKNOWN = "unknown"
    SKIPPED = "skipped"


class OnInterrupt(StrEnum):
    """What happens when a stream dies midway: start again on the next candidate, or fail."""

    RESTART = "restart"
    FAIL = "fail"


class WaitingReason(StrEnum):
    """Why a job is not being worked on."""

    QUEUE_PAUSED = "queue_paused"
    BUDGET = "budget"
    PROVIDER_COOLDOWN = "provider_cooldown"
    BACKLOG = "backlog"
    NO_WORKERS = "no_workers"


@dataclass(frozen=True, slots=True)
class Waiting:
    """Why a job waits, until when if known, and a sentence for people."""

    reason: WaitingReason
    until: datetime | None
    detail: str


FINAL_STATUSES = frozenset(
    {JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.CANCELLED, JobStatus.EXPIRED}
)

_NEXT_STATUSES: dict[JobStatus, frozenset[JobStatus]] = {
    JobStatus.QUEUED: frozenset(
        {JobStatus.RUNNING, JobStatus.CANCELLED, JobStatus.EXPIRED, JobStatus.FAILED}
    ),
    JobStatus.RUNNING: frozenset({JobStatus.QUEUED} | FINAL_STATUSES),
    JobStatus.SUCCEEDED: frozenset(),
    JobStatus.FAILED: frozenset(),
    JobStatus.CANCELLED: frozenset(),
    JobStatus.EXPIRED: frozenset(),
}


def may_follow(current: JobStatus, following: JobStatus) -> bool:
    """Tell whether a job may go from `current` to `following`; final states are left by nothing."""
    return following in _NEXT_STATUSES[current]
