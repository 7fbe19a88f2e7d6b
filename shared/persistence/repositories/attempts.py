"""Write-ahead attempts: claimed before the provider is called, settled after.

Every method is one statement, hence one round trip and one commit; concurrent claims and
settlements of a process share it. The row locks are taken in the order jobs, then budgets.
"""

from collections.abc import Sequence
from datetime import timedelta
from functools import partial

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.domain.claims import ClaimOutcome, ClaimRequest, Parking, PutOff
from shared.domain.ids import AttemptId, JobId
from shared.domain.outgoing import OutboxRow, OutgoingMessage
from shared.domain.views import ErrorView
from shared.domain.work import SettledJob, Settlement
from shared.persistence.connections import statement
from shared.persistence.direct import DirectConnection
from shared.persistence.group_commit import GroupCommit
from shared.persistence.repositories.claiming import claim_batch
from shared.persistence.repositories.outbox import INLINE_GRACE
from shared.persistence.repositories.parking import park_batch
from shared.persistence.repositories.settling import settle_batch
from shared.persistence.repositories.slowed_claims import settle_slowed
from shared.persistence.repositories.terminal import END_JOB, end_parameters

_PUT_OFF = text("""
    WITH freed AS (
        UPDATE jobs SET status = 'queued', lease_owner = NULL, lease_until = NULL,
            waiting_reason = :reason, waiting_until = :until, waiting_detail = :detail
        WHERE id = :job_id
            AND (status = 'queued' OR status = 'running' AND lease_owner = :worker)
        RETURNING id
    )
    INSERT INTO outbox (message_id, exchange, routing_key, body, available_at, awaits_provider)
    SELECT :message_id, :exchange, :routing_key, :body,
        coalesce(:available_at, now() + CAST(:grace AS interval)),
        CAST(:reason AS text) IS NOT NULL
    FROM freed RETURNING id
""")
_EXTEND = text("""
    UPDATE jobs SET lease_until = now() + CAST(:lease AS interval)
    WHERE id = ANY(CAST(:job_ids AS text[])) AND status = 'running' AND lease_owner = :worker
""")
_CHECKPOINT = text("""
    INSERT INTO answer_checkpoints AS c (job_id, attempt_id, number, text)
    SELECT :job_id, :attempt_id, :number, :text
    FROM attempts WHERE id = :attempt_id AND outcome = 'running'
    ON CONFLICT (job_id) DO UPDATE
        SET attempt_id = excluded.attempt_id, number = excluded.number, text = excluded.text
        WHERE c.number <= excluded.number
""")


PATIENCE = timedelta(minutes=1)
"""How long a claim or a settlement is repeated while the database is away; both are idempotent."""


class PostgresAttempts:
    """Implements `AttemptRepository`.

    Args:
        engine: The database.
        patience: How long claims and settlements outlast an outage.
    """

    def __init__(self, engine: AsyncEngine, patience: timedelta = PATIENCE) -> None:
        self._engine = engine
        self._execute = DirectConnection(engine).execute
        self._claim: GroupCommit[ClaimRequest, ClaimOutcome] = GroupCommit(
            self._claim_batch, patience=patience
        )
        self._settle: GroupCommit[Settlement, SettledJob] = GroupCommit(
            partial(settle_batch, DirectConnection(engine).execute), patience=patience
        )
        self._park: GroupCommit[Parking, None] = GroupCommit(self._park_batch, patience=patience)

    async def claim(self, request: ClaimRequest) -> ClaimOutcome:
        """Take the job's lease, open an attempt and hold its worst-case cost."""
        return await self._claim(request)

    async def settle(self, settlement: Settlement) -> SettledJob:
        """Close an attempt, move its job on and put messages into the outbox."""
        return await self._settle(settlement)

    async def park(self, parking: Parking) -> None:
        """Let a job wait for room in a budget, or for a scope's gate."""
        await self._park(parking)

    async def put_off(self, put_off: PutOff) -> SettledJob:
        """Queue a job again, or leave it queued, and let its command come back later."""
        command, waiting = put_off.command, put_off.waiting
        parameters = {
            "job_id": put_off.job_id,
            "worker": put_off.worker,
            "reason": waiting.reason.value if waiting else None,
            "until": waiting.until if waiting else None,
            "detail": waiting.detail if waiting else None,
            "available_at": command.available_at,
            "grace": INLINE_GRACE,
            **_message(command.message),
        }
        async with statement(self._engine) as connection:
            outbox_id = (await connection.execute(_PUT_OFF, parameters)).scalar_one_or_none()
        if outbox_id is None or command.available_at is not None:
            return SettledJob(applied=outbox_id is not None, outbox=())
        return SettledJob(applied=True, outbox=(OutboxRow(outbox_id, command.message),))

    async def expire(self, job_id: JobId, frame: OutgoingMessage) -> Sequence[OutboxRow]:
        """End a queued job whose deadline has passed."""
        return await self._end(job_id, "expired", frame, None)

    async def fail_unstarted(
        self, job_id: JobId, code: str, message: str, frame: OutgoingMessage
    ) -> Sequence[OutboxRow]:
        """End a queued job that can never be called."""
        return await self._end(job_id, "failed", frame, ErrorView(code, message))

    async def extend_leases(self, worker: str, job_ids: Sequence[JobId], lease: timedelta) -> None:
        """Keep the leases of jobs that this worker is still working on."""
        parameters = {"worker": worker, "job_ids": list(job_ids), "lease": lease}
        async with statement(self._engine) as connection:
            await connection.execute(_EXTEND, parameters)

    async def checkpoint(
        self, job_id: JobId, attempt_id: AttemptId, number: int, text: str
    ) -> None:
        """Store the answer so far; a settled attempt's text is left alone."""
        parameters = {"job_id": job_id, "attempt_id": attempt_id, "number": number, "text": text}
        async with statement(self._engine) as connection:
            await connection.execute(_CHECKPOINT, parameters)

    async def _end(
        self, job_id: JobId, status: str, frame: OutgoingMessage, error: ErrorView | None
    ) -> Sequence[OutboxRow]:
        async with statement(self._engine) as connection:
            rows = await connection.execute(
                END_JOB, end_parameters(job_id, status, frame, error=error)
            )
            return [OutboxRow(row.outbox_id, frame) for row in rows]

    async def _claim_batch(self, requests: Sequence[ClaimRequest]) -> Sequence[ClaimOutcome]:
        outcomes = await claim_batch(self._execute, requests)
        return await settle_slowed(self._engine, requests, outcomes)

    async def _park_batch(self, parkings: Sequence[Parking]) -> Sequence[None]:
        async with statement(self._engine) as connection:
            await park_batch(connection, parkings)
        return [None] * len(parkings)


def _message(message: OutgoingMessage) -> dict[str, object]:
    return {
        "message_id": message.message_id,
        "exchange": message.exchange,
        "routing_key": message.routing_key,
        "body": message.body,
    }
