"""Embedding jobs, collections and attempts as tests need them on a real database."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import numpy as np
import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.domain.access import Caller
from shared.domain.catalog import Tier
from shared.domain.claims import Claimed, ClaimRequest
from shared.domain.collections import (
    Collection,
    IngestionSlice,
    NewChunk,
    NewIngestion,
    OnFallback,
)
from shared.domain.embedding_space import BGE_M3, EmbeddingSpace
from shared.domain.gates import EMBED_BULK, EMBED_INTERACTIVE
from shared.domain.ids import AttemptId, CollectionId, IngestionId, JobId, KeyId, UserId
from shared.domain.jobs import AttemptOutcome, JobKind, OnInterrupt
from shared.domain.outgoing import DelayedMessage, OutgoingMessage
from shared.domain.usage import TokenUsage
from shared.domain.work import AttemptResult, JobStep, NewJob, Settlement, StoredVector
from shared.messages.commands import EmbedTexts
from shared.messages.endings import failure
from shared.persistence.repositories.attempts import PostgresAttempts
from shared.persistence.repositories.collections import PostgresCollections
from shared.persistence.repositories.jobs import PostgresJobs
from shared.system import RandomIds

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
USER = UserId("user-1")
WORKER = "worker-1"
CALLER = Caller(USER, KeyId("key-1"), Tier.PAID, frozenset({"jobs"}))
_IDS = RandomIds()


def new_job(kind: JobKind, texts: Sequence[str], model: str = "auto") -> NewJob:
    """Return a job with its command."""
    job_id = JobId(_IDS.new("job"))
    queue = EMBED_BULK if kind is JobKind.INGEST else EMBED_INTERACTIVE
    command = EmbedTexts(
        message_id=f"{job_id}:start",
        correlation_id=job_id,
        occurred_at=NOW,
        job_id=job_id,
        user_id=USER,
        key_id=CALLER.key_id,
        tier=CALLER.tier,
        job_kind=kind,
        model=model,
    )
    request = "{}" if kind is JobKind.INGEST else orjson.dumps({"input": [*texts]}).decode()
    return NewJob(
        id=job_id,
        caller=CALLER,
        kind=kind,
        queue=queue,
        model=model,
        request_json=request,
        request_hash=b"hash",
        input_tokens_bound=1000,
        max_output_tokens=0,
        on_interrupt=OnInterrupt.RESTART,
        deadline=None,
        idempotency_key=None,
        metadata_json=None,
        created_at=NOW,
        command=OutgoingMessage(
            command.message_id, "jobs", queue, command.model_dump_json().encode()
        ),
    )


def new_collection(
    name: str = "docs",
    space: EmbeddingSpace = BGE_M3,
    on_fallback: OnFallback = OnFallback.WAIT,
) -> Collection:
    """Return a collection that is not stored yet."""
    collection_id = CollectionId(_IDS.new("col"))
    return Collection(collection_id, USER, name, space.id, on_fallback, NOW)


def new_ingestion(collection: Collection, *slices: Mapping[str, str]) -> NewIngestion:
    """Return an ingestion with a job per slice; a slice maps document ids to their texts."""
    return NewIngestion(
        id=IngestionId(_IDS.new("ing")),
        collection=collection,
        documents=sum(len(documents) for documents in slices),
        slices=[_slice(documents) for documents in slices],
        created_at=NOW,
    )


def _slice(documents: Mapping[str, str]) -> IngestionSlice:
    chunks = [
        NewChunk(document_id, 0, position, one, len(one), metadata_json=None)
        for position, (document_id, one) in enumerate(documents.items())
    ]
    return IngestionSlice(new_job(JobKind.INGEST, ()), chunks)


def unit_vector(direction: int, space: EmbeddingSpace = BGE_M3, lean: float = 0.0) -> bytes:
    """Return a unit vector along one axis, leaning towards the next."""
    vector = np.zeros(space.dimensions, dtype="<f4")
    vector[direction], vector[direction + 1] = 1.0, lean
    normalised: bytes = (vector / np.linalg.norm(vector)).astype("<f4").tobytes()
    return normalised


def unit_vectors(*positions: int, space: EmbeddingSpace = BGE_M3) -> Sequence[StoredVector]:
    """Return, for each position, the unit vector along its axis."""
    return [StoredVector(position, unit_vector(position, space)) for position in positions]


async def submitted(engine: AsyncEngine, *texts: str) -> NewJob:
    """Store an embedding job."""
    job = new_job(JobKind.EMBED, texts)
    await PostgresJobs(engine).submit(job)
    return job


async def ingested(
    engine: AsyncEngine, collection: Collection, *slices: Mapping[str, str]
) -> NewIngestion:
    """Store a collection and an ingestion into it."""
    collections = PostgresCollections(engine)
    await collections.put(collection)
    ingestion = new_ingestion(collection, *slices)
    await collections.ingest(ingestion)
    return ingestion


async def claimed(engine: AsyncEngine, job_id: JobId, space: EmbeddingSpace = BGE_M3) -> AttemptId:
    """Open an attempt of a job."""
    attempt_id = AttemptId(_IDS.new("att"))
    outcome = await PostgresAttempts(engine).claim(
        ClaimRequest(
            job_id=job_id,
            attempt_id=attempt_id,
            worker=WORKER,
            lease=timedelta(seconds=30),
            provider=space.provider,
            model=space.model,
            price_id="price",
            hold_usd=Decimal("0.01"),
            is_fallback=False,
            scopes=["global"],
            now=NOW,
        )
    )
    assert isinstance(outcome, Claimed), outcome
    return attempt_id


def settlement(job_id: JobId, attempt_id: AttemptId, step: JobStep) -> Settlement:
    """Return the settlement of a call that cost $0.001."""
    terminal = failure(job_id, "ended", "for a test")
    return Settlement(
        job_id=job_id,
        attempt_id=attempt_id,
        worker=WORKER,
        result=AttemptResult(AttemptOutcome.SUCCEEDED, TokenUsage(100), cost_usd=Decimal("0.001")),
        step=step,
        messages=[DelayedMessage(terminal)],
        finished_at=NOW,
        latency_ms=5,
        terminal_frame=terminal.body,
    )


@dataclass(frozen=True, slots=True)
class Table:
    """Reads a database behind the repositories' backs."""

    engine: AsyncEngine

    async def count(self, relation: str, condition: str = "true") -> int:
        """Count rows."""
        async with self.engine.connect() as connection:
            query = text(f"SELECT count(*) FROM {relation} WHERE {condition}")  # noqa: S608 - a test's own words
            found: int = (await connection.execute(query)).scalar_one()
            return found
