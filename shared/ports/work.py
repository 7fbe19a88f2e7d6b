"""A job's life in the database: submitted, claimed, settled, seen."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Protocol

from shared.domain.claims import ClaimOutcome, ClaimRequest, Parking, PutOff
from shared.domain.ids import AttemptId, JobId, UserId
from shared.domain.lost_work import Abandonment, LostJob
from shared.domain.outgoing import OutboxRow, OutgoingMessage
from shared.domain.views import JobView, StreamState
from shared.domain.work import NewJob, SettledJob, Settlement, SubmitOutcome


class JobRepository(Protocol):
    """Jobs as clients see them."""

    async def submit(self, job: NewJob) -> SubmitOutcome:
        """Commit {job, outbox row} at once; idempotent by (user, idempotency key)."""
        ...

    async def get(self, job_id: JobId, user_id: UserId) -> JobView | None:
        """Return the user's job; None when it does not exist or is another user's."""
        ...

    async def list_of_user(
        self, user_id: UserId, *, status: str | None, limit: int, after: JobId | None
    ) -> Sequence[JobView]:
        """Return the user's jobs, newest first, older than `after`; no results, no attempts."""
        ...

    async def cancel(
        self, job_id: JobId, user_id: UserId, frame: OutgoingMessage
    ) -> Sequence[OutboxRow] | None:
        """Cancel the job if it is still queued and put `frame` into the outbox.

        Returns:
            The frame's outbox row, or None when the job is not queued (any more).
        """
        ...

    async def stream_state(self, job_id: JobId, user_id: UserId) -> StreamState | None:
        """Return the text stored so far and the job's view, in one snapshot."""
        ...


class AttemptRepository(Protocol):
    """Write-ahead attempts: every provider call is on the books before it is made."""

    async def claim(self, request: ClaimRequest) -> ClaimOutcome:
        """Take the job's lease, open an attempt and hold its worst-case cost, or say why not.

        Idempotent by attempt id. A job that this worker holds already gets a further attempt once
        the last one is settled, and one more beside it as a hedge.
        """
        ...

    async def settle(self, settlement: Settlement) -> SettledJob:
        """Close an attempt, move its job on and put messages into the outbox, in one commit.

        Idempotent by attempt id: a second settlement, or one whose lease was lost, changes nothing.
        Of two attempts side by side the first to be settled lets the job go on.
        """
        ...

    async def park(self, parking: Parking) -> None:
        """Let a job wait for room in a budget, or for a scope's gate.

        The job is queued, or this worker's without an open attempt. Its command leaves when there
        is room, or at the job's deadline.
        """
        ...

    async def put_off(self, put_off: PutOff) -> SettledJob:
        """Queue a job again, or leave it queued, and let its command come back later."""
        ...

    async def expire(self, job_id: JobId, frame: OutgoingMessage) -> Sequence[OutboxRow]:
        """End a queued job whose deadline has passed, unpaid."""
        ...

    async def fail_unstarted(
        self, job_id: JobId, code: str, message: str, frame: OutgoingMessage
    ) -> Sequence[OutboxRow]:
        """End a queued job that can never be called (no route, no price), unpaid."""
        ...

    async def extend_leases(self, worker: str, job_ids: Sequence[JobId], lease: timedelta) -> None:
        """Keep the leases of jobs that this worker is still working on."""
        ...

    async def checkpoint(
        self, job_id: JobId, attempt_id: AttemptId, number: int, text: str
    ) -> None:
        """Store the answer so far, for clients that join late."""
        ...


class LeaseRepository(Protocol):
    """Jobs whose worker fell silent."""

    async def expired(self, limit: int) -> Sequence[LostJob]:
        """Return running jobs whose lease has ended, longest first."""
        ...

    async def abandon(self, abandonment: Abandonment) -> Sequence[OutboxRow]:
        """Charge the open attempts at their hold and move the job on, in one commit.

        Nothing happens, and nothing is returned, when the lease has been extended meanwhile.
        """
        ...


class ParkedCommands(Protocol):
    """Commands that wait for a budget's room or for a scope's gate."""

    async def release(self) -> Sequence[OutboxRow]:
        """Put what there is room for into the outbox, fairly by tenant, some hundred at a time."""
        ...
