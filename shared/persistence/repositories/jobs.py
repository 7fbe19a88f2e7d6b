"""Jobs as clients submit, see and cancel them."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.domain.ids import JobId, UserId
from shared.domain.jobs import AttemptOutcome
from shared.domain.outgoing import OutboxRow, OutgoingMessage
from shared.domain.views import AttemptView, JobView, StreamState
from shared.domain.work import IdempotencyConflict, NewJob, SubmitOutcome, Submitted
from shared.persistence.connections import statement
from shared.persistence.direct import DirectConnection, HotStatement, Row
from shared.persistence.group_commit import GroupCommit
from shared.persistence.repositories.job_rows import (
    ATTEMPT_COLUMNS,
    JOB_COLUMNS,
    NEW_JOB,
    attempt_views,
    job_view,
    new_job_values,
)
from shared.persistence.repositories.outbox import INLINE_GRACE
from shared.persistence.repositories.terminal import END_JOB, end_parameters

SUBMIT_JOBS = HotStatement.of(f"""
    WITH new AS MATERIALIZED (SELECT * FROM {NEW_JOB.table("n")}),
    inserted AS (
        INSERT INTO jobs (id, user_id, key_id, tier, kind, queue, status, model_requested,
            on_interrupt, input_tokens_bound, max_output_tokens, deadline, idempotency_key,
            request_hash, ingestion_id, created_at)
        SELECT id, user_id, key_id, tier, kind, queue, 'queued', model, on_interrupt,
            input_tokens_bound, max_output_tokens, deadline, idempotency_key, request_hash,
            ingestion_id, created_at
        FROM new ORDER BY position
        ON CONFLICT (user_id, idempotency_key) DO NOTHING
        RETURNING id
    ),
    contents AS (
        INSERT INTO job_contents (job_id, request, metadata)
        SELECT id, request, metadata FROM new JOIN inserted USING (id)
    ),
    queued AS (
        INSERT INTO outbox (message_id, exchange, routing_key, body, available_at)
        SELECT message_id, exchange, routing_key, body, now() + CAST(:grace AS interval)
        FROM new JOIN inserted USING (id)
        RETURNING id AS outbox_id, message_id
    )
    SELECT new.position, queued.outbox_id
    FROM new JOIN queued USING (message_id)
""")  # noqa: S608 - only our own column lists are put in
_EARLIER = text("""
    SELECT id, request_hash FROM jobs
    WHERE user_id = :user_id AND idempotency_key = :idempotency_key
""")
_STATES = HotStatement.of(f"""
    SELECT {JOB_COLUMNS}, j.user_id, c.result, c.metadata, p.number AS text_number,
        p.text AS text_so_far, {ATTEMPT_COLUMNS}
    FROM jobs j LEFT JOIN job_contents c ON c.job_id = j.id
    LEFT JOIN answer_checkpoints p ON p.job_id = j.id
    LEFT JOIN attempts a ON a.job_id = j.id
    WHERE j.id = ANY(CAST(:job_ids AS text[])) ORDER BY j.id, a.number
""")  # noqa: S608 - as above
_LIST = text(f"""
    SELECT {JOB_COLUMNS}, NULL AS result, c.metadata
    FROM jobs j LEFT JOIN job_contents c ON c.job_id = j.id
    WHERE j.user_id = :user_id AND j.kind <> 'ingest'
        AND (CAST(:status AS text) IS NULL OR j.status = :status)
        AND (CAST(:after AS text) IS NULL OR j.id < :after)
    ORDER BY j.id DESC LIMIT :limit
""")  # noqa: S608 - as above


@dataclass(frozen=True, slots=True)
class _Stored:
    """A job's stored part, and whose it is."""

    user_id: UserId
    stream: StreamState


class PostgresJobs:
    """Implements `JobRepository`; concurrent submissions share a commit, and readings a query."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._writing = DirectConnection(engine)
        self._reading = DirectConnection(engine)
        self._submit: GroupCommit[NewJob, OutboxRow | None] = GroupCommit(self._submit_batch)
        self._read: GroupCommit[JobId, _Stored | None] = GroupCommit(self._read_batch)

    async def submit(self, job: NewJob) -> SubmitOutcome:
        """Commit {job, outbox row} at once; idempotent by (user, idempotency key)."""
        outbox = await self._submit(job)
        if outbox is not None:
            return Submitted(job.id, outbox)
        async with statement(self._engine) as connection:
            earlier = (
                await connection.execute(
                    _EARLIER,
                    {"user_id": job.caller.user_id, "idempotency_key": job.idempotency_key},
                )
            ).one()
        if bytes(earlier.request_hash) == job.request_hash:
            return Submitted(JobId(earlier.id), None)
        return IdempotencyConflict(JobId(earlier.id))

    async def get(self, job_id: JobId, user_id: UserId) -> JobView | None:
        """Return the user's job with its result and attempts."""
        state = await self.stream_state(job_id, user_id)
        return None if state is None else state.job

    async def list_of_user(
        self, user_id: UserId, *, status: str | None, limit: int, after: JobId | None
    ) -> Sequence[JobView]:
        """Return the user's jobs, newest first, older than `after`."""
        parameters = {"user_id": user_id, "status": status, "limit": limit, "after": after}
        async with statement(self._engine) as connection:
            rows = await connection.execute(_LIST, parameters)
            return [job_view(row, ()) for row in rows.mappings()]

    async def cancel(
        self, job_id: JobId, user_id: UserId, frame: OutgoingMessage
    ) -> Sequence[OutboxRow] | None:
        """Cancel the job if it is still queued."""
        parameters = end_parameters(job_id, "cancelled", frame, user_id=user_id)
        async with statement(self._engine) as connection:
            row = (await connection.execute(END_JOB, parameters)).one_or_none()
        return None if row is None else [OutboxRow(row.outbox_id, frame)]

    async def stream_state(self, job_id: JobId, user_id: UserId) -> StreamState | None:
        """Return the text stored so far and the job's view."""
        state = await self._read(job_id)
        if state is None or state.user_id != user_id:
            return None
        return state.stream

    async def _submit_batch(self, jobs: Sequence[NewJob]) -> Sequence[OutboxRow | None]:
        parameters = NEW_JOB.parameters([new_job_values(job) for job in jobs])
        rows = await self._writing.execute(SUBMIT_JOBS, {**parameters, "grace": INLINE_GRACE})
        outbox_ids: dict[int, int] = {row["position"]: row["outbox_id"] for row in rows}
        return [
            OutboxRow(outbox_ids[position], job.command) if position in outbox_ids else None
            for position, job in enumerate(jobs, start=1)
        ]

    async def _read_batch(self, job_ids: Sequence[JobId]) -> Sequence[_Stored | None]:
        rows_by_job: dict[str, list[Row]] = {}
        for row in await self._reading.execute(_STATES, {"job_ids": [*job_ids]}):
            rows_by_job.setdefault(row["id"], []).append(row)
        return [_stored(rows_by_job[one]) if one in rows_by_job else None for one in job_ids]


def _stored(rows: Sequence[Row]) -> _Stored:
    row = rows[0]
    attempts = [
        view for one in rows if one["attempt_id"] is not None for view in attempt_views(one)
    ]
    number: int = row["text_number"] or _answering(attempts, row["attempt_count"])
    return _Stored(
        UserId(row["user_id"]),
        StreamState(job_view(row, attempts), number, row["text_so_far"] or ""),
    )


def _answering(attempts: Sequence[AttemptView], attempt_count: int) -> int:
    """Return the number of the attempt whose text comes next; 0 while two of them may bring it."""
    match [one.number for one in attempts if one.outcome is AttemptOutcome.RUNNING]:
        case []:
            return attempt_count
        case [int(number)]:
            return number
        case _:
            return 0
