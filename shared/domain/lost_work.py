"""Work whose worker fell silent: what is known of it, and what becomes of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from shared.domain.access import Caller
from shared.domain.catalog import Provider
from shared.domain.ids import AttemptId, JobId, QueueName
from shared.domain.jobs import JobKind, OnInterrupt
from shared.domain.outgoing import DelayedMessage
from shared.domain.rollout import Arm
from shared.domain.work import JobFails, JobWaits


@dataclass(frozen=True, slots=True)
class LostAttempt:
    """A call whose worker fell silent: nobody knows whether it was made."""

    id: AttemptId
    provider: Provider
    model: str
    price_id: str
    hold_usd: Decimal
    is_fallback: bool
    started_at: datetime
    arm: Arm | None = None
    is_hedge: bool = False


@dataclass(frozen=True, slots=True)
class LostJob:
    """A running job whose lease has ended, with all that is needed to start it again."""

    id: JobId
    caller: Caller
    kind: JobKind
    queue: QueueName
    model: str
    input_tokens_bound: int
    max_output_tokens: int
    on_interrupt: OnInterrupt
    deadline: datetime | None
    failure_count: int
    lease_owner: str
    lease_until: datetime
    attempts: Sequence[LostAttempt]

    @property
    def failures(self) -> int:
        """Return by how much the worker's end brings the job nearer to its own.

        Calls side by side are lost together, and count as one.
        """
        return int(bool(self.attempts))


@dataclass(frozen=True, slots=True)
class Abandonment:
    """What becomes of a lost job: its open attempts are charged at their hold."""

    job: LostJob
    step: JobFails | JobWaits
    messages: Sequence[DelayedMessage]
    terminal_frame: bytes | None = None
