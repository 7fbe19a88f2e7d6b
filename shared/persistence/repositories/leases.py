"""Jobs whose worker fell silent: found by their lease's end, charged at their hold, moved on."""

from collections.abc import Sequence

from sqlalchemy import RowMapping, text
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.domain.access import Caller
from shared.domain.catalog import Provider, Tier
from shared.domain.ids import AttemptId, JobId, KeyId, QueueName, UserId
from shared.domain.jobs import JobKind, OnInterrupt
from shared.domain.lost_work import Abandonment, LostAttempt, LostJob
from shared.domain.outgoing import DelayedMessage, OutboxRow
from shared.domain.work import JobFails
from shared.persistence.arrays import Batch
from shared.persistence.connections import statement, transaction
from shared.persistence.repositories.chunks import fail_pending_chunks
from shared.persistence.repositories.outbox import INLINE_GRACE

_EXPIRED = text("""
    SELECT * FROM jobs WHERE status = 'running' AND lease_until < now()
    ORDER BY lease_until LIMIT :limit
""")
_OPEN_ATTEMPTS = text("""
    SELECT * FROM attempts
    WHERE job_id = ANY(CAST(:job_ids AS text[])) AND outcome = 'running' ORDER BY number
""")
_MESSAGE = Batch(
    message_id="text",
    exchange="text",
    routing_key="text",
    body="bytea",
    mandatory="boolean",
    available_at="timestamptz",
)
_ABANDON = text(f"""
    WITH lost AS (
        UPDATE jobs SET status = :next_status, lease_owner = NULL, lease_until = NULL,
            failure_count = failure_count + :failures, cost_usd = cost_usd + :held_usd,
            error_code = :error_code, error_message = :error_message,
            finished_at = CASE WHEN CAST(:frame AS jsonb) IS NOT NULL THEN now() END
        WHERE id = :job_id AND status = 'running'
            AND lease_owner = :lease_owner AND lease_until = :lease_until
        RETURNING id, user_id
    ),
    charged AS (
        UPDATE attempts SET outcome = 'unknown', assumed = true, cost_usd = hold_usd,
            finished_at = now(), error_code = 'worker_lost',
            error_message = 'the worker fell silent; charged at the hold'
        FROM lost WHERE attempts.job_id = lost.id AND attempts.outcome = 'running'
    ),
    unneeded AS (
        DELETE FROM answer_checkpoints
        WHERE job_id IN (SELECT id FROM lost) AND CAST(:frame AS jsonb) IS NOT NULL
    ),
    cursor AS (
        INSERT INTO client_cursors AS c (user_id, last_seq)
        SELECT user_id, 1 FROM lost WHERE CAST(:frame AS jsonb) IS NOT NULL
        ON CONFLICT (user_id) DO UPDATE SET last_seq = c.last_seq + 1
        RETURNING user_id, last_seq
    ),
    delivered AS (
        INSERT INTO deliveries (user_id, seq, job_id, frame, created_at)
        SELECT user_id, last_seq, :job_id, CAST(:frame AS jsonb), now() FROM cursor
    )
    INSERT INTO outbox (message_id, exchange, routing_key, body, mandatory, available_at)
    SELECT message_id, exchange, routing_key, body, mandatory,
        coalesce(available_at, now() + CAST(:grace AS interval))
    FROM {_MESSAGE.table("m")} WHERE EXISTS (SELECT FROM lost)
    RETURNING id, message_id
""")  # noqa: S608 - only our own column lists are put in


class PostgresLeases:
    """Implements `LeaseRepository`; any number of sweepers may run."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def expired(self, limit: int) -> Sequence[LostJob]:
        """Return running jobs whose lease has ended, longest first."""
        async with statement(self._engine) as connection:
            jobs = (await connection.execute(_EXPIRED, {"limit": limit})).mappings().all()
            if not jobs:
                return []
            found = await connection.execute(_OPEN_ATTEMPTS, {"job_ids": [j["id"] for j in jobs]})
            attempts = found.mappings().all()
        return [
            _lost_job(job, [_lost_attempt(a) for a in attempts if a["job_id"] == job["id"]])
            for job in jobs
        ]

    async def abandon(self, abandonment: Abandonment) -> Sequence[OutboxRow]:
        """Charge the open attempts at their hold and move the job on, in one commit."""
        job = abandonment.job
        error = abandonment.step.error if isinstance(abandonment.step, JobFails) else None
        frame = abandonment.terminal_frame
        messages = {m.message.message_id: m for m in abandonment.messages}
        parameters = {
            **_MESSAGE.parameters([_message_values(m) for m in abandonment.messages]),
            "job_id": job.id,
            "lease_owner": job.lease_owner,
            "lease_until": job.lease_until,
            "next_status": "failed" if error else "queued",
            "failures": job.failures,
            "held_usd": sum(attempt.hold_usd for attempt in job.attempts),
            "error_code": error.code if error else None,
            "error_message": error.message if error else None,
            "frame": frame.decode() if frame is not None else None,
            "grace": INLINE_GRACE,
        }
        async with transaction(self._engine) as connection:
            rows = (await connection.execute(_ABANDON, parameters)).all()
            if rows and error and job.kind is JobKind.INGEST:
                await fail_pending_chunks(connection, [job.id])
            return [
                OutboxRow(row.id, messages[row.message_id].message)
                for row in rows
                if messages[row.message_id].available_at is None
            ]


def _message_values(delayed: DelayedMessage) -> Sequence[object]:
    message = delayed.message
    return (
        message.message_id,
        message.exchange,
        message.routing_key,
        message.body,
        message.mandatory,
        delayed.available_at,
    )


def _lost_attempt(row: RowMapping) -> LostAttempt:
    return LostAttempt(
        id=AttemptId(row["id"]),
        provider=Provider(row["provider"]),
        model=row["model"],
        price_id=row["price_id"],
        hold_usd=row["hold_usd"],
        is_fallback=row["is_fallback"],
        started_at=row["started_at"],
        arm=row["arm"],
        is_hedge=row["is_hedge"],
    )


def _lost_job(row: RowMapping, attempts: Sequence[LostAttempt]) -> LostJob:
    caller = Caller(
        UserId(row["user_id"]), KeyId(row["key_id"]), Tier(row["tier"]), scopes=frozenset()
    )
    return LostJob(
        id=JobId(row["id"]),
        caller=caller,
        kind=JobKind(row["kind"]),
        queue=QueueName(row["queue"]),
        model=row["model_requested"],
        input_tokens_bound=row["input_tokens_bound"],
        max_output_tokens=row["max_output_tokens"],
        on_interrupt=OnInterrupt(row["on_interrupt"]),
        deadline=row["deadline"],
        failure_count=row["failure_count"],
        lease_owner=row["lease_owner"],
        lease_until=row["lease_until"],
        attempts=attempts,
    )
