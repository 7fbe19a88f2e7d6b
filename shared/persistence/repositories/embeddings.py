"""Texts without a vector, and vectors stored in the commit that settles what they cost."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from shared.domain.collections import EmbeddingWork, OnFallback, PendingText
from shared.domain.embedding_space import EmbeddingSpace, space_named
from shared.domain.ids import JobId, SpaceId
from shared.domain.jobs import JobKind
from shared.domain.outgoing import OutboxRow, OutgoingMessage
from shared.domain.tokens import estimated_tokens
from shared.domain.views import ErrorView
from shared.domain.work import JobFails, JobSucceeds, SettledJob, Settlement, StoredVector
from shared.persistence.arrays import Batch
from shared.persistence.connections import statement, transaction
from shared.persistence.direct import on_pooled
from shared.persistence.group_commit import GroupCommit
from shared.persistence.repositories.attempts import PATIENCE
from shared.persistence.repositories.chunks import fail_pending_chunks, store_vectors
from shared.persistence.repositories.settling import settle_batch
from shared.persistence.repositories.terminal import END_JOB, end_parameters

_REQUEST = text("""
    SELECT c.request, v.space_id, v.position
    FROM job_contents c LEFT JOIN job_vectors v USING (job_id) WHERE c.job_id = :job_id
""")
_CHUNKS = text("""
    SELECT l.space_id, l.on_fallback, c.position, c.tokens,
        CASE c.status WHEN 'pending' THEN c.text END AS text
    FROM jobs j JOIN ingestions i ON i.id = j.ingestion_id
    JOIN collections l ON l.id = i.collection_id LEFT JOIN chunks c ON c.job_id = j.id
    WHERE j.id = :job_id ORDER BY c.position
""")
_JOB_VECTOR = Batch(job_id="text", text_position="integer", space_id="text", vector="bytea")
_STORE = text(f"""
    INSERT INTO job_vectors (job_id, position, space_id, vector)
    SELECT job_id, text_position, space_id, vector FROM {_JOB_VECTOR.table("v")}
    ON CONFLICT DO NOTHING
""")  # noqa: S608 - only our own column lists are put in
_RESULTS = text("SELECT position, space_id, vector FROM job_vectors WHERE job_id = :job_id")
_SET_RESULT = text("""
    UPDATE job_contents SET result = :result WHERE job_id = :job_id
""")
_MAX_BATCH = 32
"""Settlements that share a commit: each brings up to a hundred vectors of 2 to 6 kB."""


@dataclass(frozen=True, slots=True)
class _Paid:
    """A settlement with the vectors it paid for."""

    settlement: Settlement
    kind: JobKind
    space: EmbeddingSpace
    vectors: Sequence[StoredVector]


class PostgresEmbeddings:
    """Implements `EmbeddingRepository`; concurrent settlements share a commit.

    Args:
        engine: The database.
        patience: How long settlements outlast an outage.
    """

    def __init__(self, engine: AsyncEngine, patience: timedelta = PATIENCE) -> None:
        self._engine = engine
        self._settle: GroupCommit[_Paid, SettledJob] = GroupCommit(
            self._settle_batch, _MAX_BATCH, patience
        )

    async def pending(self, job_id: JobId, kind: JobKind) -> EmbeddingWork:
        """Return the job's texts that have no vector yet; none when there is no such job."""
        if kind is JobKind.INGEST:
            return await self._pending_chunks(job_id)
        async with statement(self._engine) as connection:
            rows = (await connection.execute(_REQUEST, {"job_id": job_id})).all()
        if not rows:
            return EmbeddingWork((), 0, None, OnFallback.WAIT)
        inputs: list[str] = orjson.loads(rows[0].request)["input"]
        done = {row.position for row in rows}
        texts = [
            PendingText(position, one, estimated_tokens(one))
            for position, one in enumerate(inputs)
            if position not in done
        ]
        space_id = rows[0].space_id
        return EmbeddingWork(
            texts, len(inputs), SpaceId(space_id) if space_id else None, OnFallback.WAIT
        )

    async def settle(
        self,
        settlement: Settlement,
        kind: JobKind,
        space: EmbeddingSpace,
        vectors: Sequence[StoredVector],
    ) -> SettledJob:
        """Settle an attempt and store what it paid for, in one commit.

        Raises:
            ValueError: A vector is not of the space's width.
        """
        if any(len(stored.vector) != 4 * space.dimensions for stored in vectors):
            raise ValueError(
                f"attempt {settlement.attempt_id}: a vector has not the {space.dimensions} "
                f"dimensions of {space.id}"
            )
        return await self._settle(_Paid(settlement, kind, space, vectors))

    async def succeed_empty(
        self, job_id: JobId, result_json: str, frame: OutgoingMessage
    ) -> Sequence[OutboxRow]:
        """End a queued job that has nothing left to embed."""
        async with transaction(self._engine) as connection:
            outbox = await _end(connection, end_parameters(job_id, "succeeded", frame), frame)
            if outbox:
                parameters = {"job_id": job_id, "result": result_json}
                await connection.execute(_SET_RESULT, parameters)
            return outbox

    async def fail_unstarted(
        self, job_id: JobId, error: ErrorView, frame: OutgoingMessage
    ) -> Sequence[OutboxRow]:
        """End a queued job that can never be called."""
        return await self._end_unpaid(
            job_id, end_parameters(job_id, "failed", frame, error=error), frame
        )

    async def expire(self, job_id: JobId, frame: OutgoingMessage) -> Sequence[OutboxRow]:
        """End a queued job whose deadline has passed."""
        return await self._end_unpaid(job_id, end_parameters(job_id, "expired", frame), frame)

    async def results(self, job_id: JobId) -> tuple[EmbeddingSpace, Mapping[int, bytes]] | None:
        """Return an embed job's vectors by position and their space."""
        async with statement(self._engine) as connection:
            rows = (await connection.execute(_RESULTS, {"job_id": job_id})).all()
        if not rows:
            return None
        vector_by_position = {int(row.position): bytes(row.vector) for row in rows}
        return space_named(SpaceId(rows[0].space_id)), vector_by_position

    async def _pending_chunks(self, job_id: JobId) -> EmbeddingWork:
        async with statement(self._engine) as connection:
            rows = (await connection.execute(_CHUNKS, {"job_id": job_id})).all()
        if not rows:
            return EmbeddingWork((), 0, None, OnFallback.WAIT)
        texts = [
            PendingText(row.position, row.text, row.tokens) for row in rows if row.text is not None
        ]
        count = sum(row.position is not None for row in rows)
        first = rows[0]
        return EmbeddingWork(texts, count, SpaceId(first.space_id), OnFallback(first.on_fallback))

    async def _end_unpaid(
        self, job_id: JobId, parameters: Mapping[str, object], frame: OutgoingMessage
    ) -> Sequence[OutboxRow]:
        async with transaction(self._engine) as connection:
            outbox = await _end(connection, parameters, frame)
            if outbox:
                await fail_pending_chunks(connection, [job_id])
            return outbox

    async def _settle_batch(self, batch: Sequence[_Paid]) -> Sequence[SettledJob]:
        async with transaction(self._engine) as connection:
            settled = await settle_batch(on_pooled(connection), [paid.settlement for paid in batch])
            applied = [paid for paid, job in zip(batch, settled, strict=True) if job.applied]
            await _store_job_vectors(connection, applied)
            await _store_chunk_vectors(connection, applied)
            ended = [paid.settlement.job_id for paid in applied if _leaves_chunks(paid)]
            if ended:
                await fail_pending_chunks(connection, ended)
        return settled


async def _end(
    connection: AsyncConnection, parameters: Mapping[str, object], frame: OutgoingMessage
) -> Sequence[OutboxRow]:
    rows = await connection.execute(END_JOB, parameters)
    return [OutboxRow(row.outbox_id, frame) for row in rows]


async def _store_job_vectors(connection: AsyncConnection, applied: Sequence[_Paid]) -> None:
    rows = [
        (paid.settlement.job_id, stored.position, paid.space.id, stored.vector)
        for paid in applied
        if paid.kind is not JobKind.INGEST
        for stored in paid.vectors
    ]
    if rows:
        await connection.execute(_STORE, _JOB_VECTOR.parameters(rows))


async def _store_chunk_vectors(connection: AsyncConnection, applied: Sequence[_Paid]) -> None:
    vectors_by_space: dict[EmbeddingSpace, list[tuple[JobId, StoredVector]]] = {}
    for paid in applied:
        if paid.kind is JobKind.INGEST and paid.vectors:
            vectors = vectors_by_space.setdefault(paid.space, [])
            vectors += [(paid.settlement.job_id, stored) for stored in paid.vectors]
    for space, vectors in vectors_by_space.items():
        await store_vectors(connection, space, vectors)


def _leaves_chunks(paid: _Paid) -> bool:
    return paid.kind is JobKind.INGEST and isinstance(paid.settlement.step, JobSucceeds | JobFails)
