"""A worker's claim of a job, what comes of it, and how the job waits instead."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum

from shared.domain.catalog import Provider
from shared.domain.ids import AttemptId, JobId
from shared.domain.jobs import (
    Waiting,
    WaitingReason,
)
from shared.domain.outgoing import DelayedMessage, OutgoingMessage
from shared.domain.rollout import Arm
from shared.domain.usage import TokenUsage


@dataclass(frozen=True, slots=True)
class PassedOver:
    """A candidate that was not asked, because its circuit was open or its rate limit reached."""

    provider: Provider
    model: str
    code: str
    at: datetime


@dataclass(frozen=True, slots=True)
class ClaimRequest:
    """Ask for a job's lease and for room in every budget that applies.

    Attributes:
        worker: Unique per process start; the lease's owner.
        hold_usd: The most this attempt can cost.
        scopes: The budgets that apply (`global`, `tier:free`, `user:U`, `provider:openai`, …).
        is_diverted: Whether the call takes the cheaper route already.
        passed_over: Who was not asked, though it was their turn before.
        arm: The side of the rollout that the call was routed by.
        is_hedge: Whether it is a second call, beside the job's one under way. It is let in only
            under the cap of its tier's second calls, which is one of `scopes`.
    """

    job_id: JobId
    attempt_id: AttemptId
    worker: str
    lease: timedelta
    provider: Provider
    model: str
    price_id: str
    hold_usd: Decimal
    is_fallback: bool
    scopes: Sequence[str]
    now: datetime
    is_diverted: bool = False
    passed_over: Sequence[PassedOver] = ()
    arm: Arm | None = None
    is_hedge: bool = False


@dataclass(frozen=True, slots=True)
class Claimed:
    """The lease is ours and the attempt is on the books.

    Attributes:
        number: The attempt's number within the job, from 1.
        request_json: The job's request.
        cost_so_far_usd: What earlier attempts of the job cost.
        usage_so_far: What earlier attempts of the job that succeeded consumed.
        failures_so_far: How many earlier attempts failed or were lost.
    """

    number: int
    request_json: str
    cost_so_far_usd: Decimal
    usage_so_far: TokenUsage
    failures_so_far: int
    created_at: datetime


class Unclaimable(StrEnum):
    """Why a job cannot be claimed; all but `GATE_SHUT` mean that its message is done with."""

    MISSING = "missing"
    DONE = "done"
    LEASED = "leased"
    """Another worker has it; if that worker died, the lease sweeper requeues the job.

    For a second call: there is no call of this worker's to be made beside, or no cap.
    """
    DEADLINE_PASSED = "deadline_passed"
    GATE_SHUT = "gate_shut"
    """The queue was shut, or filled up to its cap by others, while the job was on its way here."""


@dataclass(frozen=True, slots=True)
class NoRoom:
    """A hard limit or a scope's gate lets no call start now; the job waits, parked.

    Attributes:
        scope: Whose limit or gate it is.
        until: When it may go on by itself; None when only a person can tell.
        detail: A sentence for the job's owner.
    """

    scope: str
    until: datetime | None
    reason: WaitingReason = WaitingReason.BUDGET
    detail: str = field(default="", compare=False)

    @property
    def concerns_provider(self) -> bool:
        """Tell whether another provider may still be called."""
        return self.scope.startswith("provider:")


@dataclass(frozen=True, slots=True)
class Divert:
    """Budgets want the cheaper route: claim again with its candidate."""


ClaimOutcome = Claimed | Unclaimable | NoRoom | Divert


@dataclass(frozen=True, slots=True)
class Parking:
    """A job that waits for room; idempotent by job.

    Attributes:
        worker: Whose lease is given up, if the job is held.
        no_room: What it waits for.
        hold_usd: How much room it needs.
        command: What brings it back.
    """

    job_id: JobId
    worker: str
    no_room: NoRoom
    hold_usd: Decimal
    command: OutgoingMessage


@dataclass(frozen=True, slots=True)
class PutOff:
    """Let a job wait for a provider; it is queued, or this worker's without an open attempt.

    Attributes:
        command: Brings it back.
        waiting: What its owner is told; None when there is nothing to tell.
    """

    job_id: JobId
    worker: str
    command: DelayedMessage
    waiting: Waiting | None = None
