"""Claims, settlements, gates and publishing for the embedding worker, in memory."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from shared.domain.claims import Claimed, ClaimOutcome, ClaimRequest, Parking, PutOff
from shared.domain.collections import EmbeddingWork, OnFallback
from shared.domain.embedding_space import EmbeddingSpace
from shared.domain.errors import DatabaseUnavailableError, SluicewayError
from shared.domain.ids import AttemptId, JobId, QueueName
from shared.domain.jobs import JobKind, JobStatus
from shared.domain.outgoing import OutboxRow, OutgoingMessage
from shared.domain.usage import TokenUsage
from shared.domain.views import ErrorView
from shared.domain.work import (
    JobContinues,
    JobFails,
    JobStep,
    JobSucceeds,
    JobWaits,
    SettledJob,
    Settlement,
    StoredVector,
)

ACCEPTED_AT = datetime(2026, 11, 23, 11, 59, tzinfo=UTC)
JOB = JobId("job_1")
NOTHING = EmbeddingWork((), 0, None, OnFallback.WAIT)
_STATUS_AFTER: Mapping[type[JobStep], JobStatus] = {
    JobSucceeds: JobStatus.SUCCEEDED,
    JobFails: JobStatus.FAILED,
    JobContinues: JobStatus.RUNNING,
    JobWaits: JobStatus.QUEUED,
}


def claim_number(number: int, failures: int = 0) -> Claimed:
    """Return a claim of a job whose earlier attempts cost $0.5 and 7 tokens."""
    return Claimed(
        number=number,
        request_json="{}",
        cost_so_far_usd=Decimal("0.5"),
        usage_so_far=TokenUsage(7),
        failures_so_far=failures,
        created_at=ACCEPTED_AT,
    )


@dataclass(slots=True)
class ScriptedAttempts:
    """Implements `AttemptRepository`: claims end as the script says, then they succeed."""

    script: Sequence[ClaimOutcome] = ()
    is_away: bool = False
    requests: list[ClaimRequest] = field(default_factory=list[ClaimRequest])
    parked: list[Parking] = field(default_factory=list[Parking])
    put_offs: list[PutOff] = field(default_factory=list[PutOff])

    async def claim(self, request: ClaimRequest) -> ClaimOutcome:
        if self.is_away:
            raise DatabaseUnavailableError("the fake is away")
        self.requests.append(request)
        number = len(self.requests)
        return self.script[number - 1] if number <= len(self.script) else claim_number(number)

    async def park(self, parking: Parking) -> None:
        self.parked.append(parking)

    async def put_off(self, put_off: PutOff) -> SettledJob:
        self.put_offs.append(put_off)
        return SettledJob(applied=True, outbox=[OutboxRow(1, put_off.command.message)])

    async def settle(self, settlement: Settlement) -> SettledJob:
        raise NotImplementedError(settlement.attempt_id)

    async def expire(self, job_id: JobId, frame: OutgoingMessage) -> Sequence[OutboxRow]:
        raise NotImplementedError(job_id, frame.message_id)

    async def fail_unstarted(
        self, job_id: JobId, code: str, message: str, frame: OutgoingMessage
    ) -> Sequence[OutboxRow]:
        raise NotImplementedError(job_id, code, message, frame.message_id)

    async def extend_leases(self, worker: str, job_ids: Sequence[JobId], lease: timedelta) -> None:
        raise NotImplementedError(worker, job_ids, lease)

    async def checkpoint(
        self, job_id: JobId, attempt_id: AttemptId, number: int, text: str
    ) -> None:
        raise NotImplementedError(job_id, attempt_id, number, text)


@dataclass(slots=True)
class RecordedSettlement:
    """What was committed with one attempt."""

    settlement: Settlement
    space: EmbeddingSpace
    vectors: Sequence[StoredVector]


@dataclass(slots=True)
class MemoryEmbeddings:
    """Implements `EmbeddingRepository` for one job.

    Attributes:
        work: What the job has to embed, before anything was stored.
    """

    job_id: JobId = JOB
    work: EmbeddingWork = NOTHING
    status: JobStatus = JobStatus.QUEUED
    is_lease_lost: bool = False
    settled: list[RecordedSettlement] = field(default_factory=list[RecordedSettlement])
    succeeded: list[str] = field(default_factory=list[str])
    failed: list[ErrorView] = field(default_factory=list[ErrorView])
    expired: list[JobId] = field(default_factory=list[JobId])

    async def pending(self, job_id: JobId, kind: JobKind) -> EmbeddingWork:
        if job_id != self.job_id:
            return NOTHING
        stored = self._stored()
        left = [one for one in self.work.texts if one.position not in stored]
        used = self.settled[-1].space.id if stored and kind is JobKind.EMBED else None
        return replace(self.work, texts=left, space_id=used or self.work.space_id)

    async def settle(
        self,
        settlement: Settlement,
        kind: JobKind,
        space: EmbeddingSpace,
        vectors: Sequence[StoredVector],
    ) -> SettledJob:
        del kind
        if any(len(one.vector) != 4 * space.dimensions for one in vectors):
            raise ValueError(f"a vector has not the {space.dimensions} dimensions of {space.id}")
        known = {one.settlement.attempt_id for one in self.settled}
        if self.is_lease_lost or settlement.attempt_id in known:
            return SettledJob(applied=False, outbox=())
        self.settled.append(RecordedSettlement(settlement, space, vectors))
        self.status = _STATUS_AFTER[type(settlement.step)]
        rows = [OutboxRow(n, one.message) for n, one in enumerate(settlement.messages)]
        return SettledJob(applied=True, outbox=rows, terminal_frame=settlement.terminal_frame)

    async def succeed_empty(
        self, job_id: JobId, result_json: str, frame: OutgoingMessage
    ) -> Sequence[OutboxRow]:
        rows = self._end(job_id, JobStatus.SUCCEEDED, frame)
        self.succeeded += [result_json] * len(rows)
        return rows

    async def fail_unstarted(
        self, job_id: JobId, error: ErrorView, frame: OutgoingMessage
    ) -> Sequence[OutboxRow]:
        rows = self._end(job_id, JobStatus.FAILED, frame)
        self.failed += [error] * len(rows)
        return rows

    async def expire(self, job_id: JobId, frame: OutgoingMessage) -> Sequence[OutboxRow]:
        rows = self._end(job_id, JobStatus.EXPIRED, frame)
        self.expired += [job_id] * len(rows)
        return rows

    async def results(self, job_id: JobId) -> tuple[EmbeddingSpace, Mapping[int, bytes]] | None:
        stored = self._stored()
        if job_id != self.job_id or not stored:
            return None
        return self.settled[-1].space, stored

    def _stored(self) -> dict[int, bytes]:
        return {one.position: one.vector for each in self.settled for one in each.vectors}

    def _end(self, job_id: JobId, status: JobStatus, frame: OutgoingMessage) -> Sequence[OutboxRow]:
        if job_id != self.job_id or self.status is not JobStatus.QUEUED:
            return []
        self.status = status
        return [OutboxRow(1, frame)]


@dataclass(slots=True)
class SteppingGate:
    """Lets so many calls start; None for any number."""

    calls_left: int | None = None

    def lets_work_start(self, queue: QueueName) -> bool:
        del queue
        if self.calls_left is None:
            return True
        self.calls_left -= 1
        return self.calls_left >= 0


@dataclass(slots=True)
class RecordingBroker:
    """Implements `MessagePublisher` and `CommittedMessages`."""

    published: list[OutgoingMessage] = field(default_factory=list[OutgoingMessage])
    flushed: list[OutgoingMessage] = field(default_factory=list[OutgoingMessage])

    async def publish(self, message: OutgoingMessage) -> None:
        self.published.append(message)

    async def publish_many(
        self, messages: Sequence[OutgoingMessage]
    ) -> Sequence[SluicewayError | None]:
        self.published += messages
        return [None] * len(messages)

    async def flush(self, rows: Sequence[OutboxRow]) -> None:
        self.flushed += [row.message for row in rows]
