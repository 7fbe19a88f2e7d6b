"""Collections and the documents that enter them."""

from collections.abc import Sequence

from sqlalchemy import RowMapping, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from shared.domain.collections import (
    Collection,
    IngestionStatus,
    IngestionView,
    NewIngestion,
    OnFallback,
)
from shared.domain.ids import CollectionId, IngestionId, SpaceId, UserId
from shared.domain.outgoing import OutboxRow
from shared.persistence.arrays import Batch
from shared.persistence.connections import statement, transaction
from shared.persistence.direct import on_pooled
from shared.persistence.repositories.chunks import supersede_documents
from shared.persistence.repositories.job_rows import NEW_JOB, new_job_values
from shared.persistence.repositories.jobs import SUBMIT_JOBS
from shared.persistence.repositories.outbox import INLINE_GRACE

_PUT = text("""
    INSERT INTO collections (id, user_id, name, space_id, on_fallback, created_at)
    VALUES (:id, :user_id, :name, :space_id, :on_fallback, :created_at)
    ON CONFLICT (user_id, name) DO UPDATE SET name = excluded.name
    RETURNING *
""")
_GET = text("SELECT * FROM collections WHERE user_id = :user_id AND name = :name")
_ALL = text("SELECT * FROM collections WHERE user_id = :user_id ORDER BY name")
_SET_ON_FALLBACK = text("UPDATE collections SET on_fallback = :on_fallback WHERE id = :id")
_DELETE = text("DELETE FROM collections WHERE user_id = :user_id AND name = :name RETURNING id")
_LOCK = text("SELECT id FROM collections WHERE id = :id FOR NO KEY UPDATE")
_NEW_INGESTION = text("""
    INSERT INTO ingestions (id, user_id, collection_id, documents, chunks, created_at)
    VALUES (:id, :user_id, :collection_id, :documents, :chunks, :created_at)
""")
_CHUNK = Batch(
    document_id="text",
    ordinal="integer",
    job_id="text",
    chunk_position="integer",
    chunk_text="text",
    tokens="integer",
    metadata="text",
)
_NEW_CHUNKS = text(f"""
    INSERT INTO chunks (collection_id, ingestion_id, status, document_id, ordinal, job_id,
        position, text, tokens, metadata)
    SELECT :collection_id, :ingestion_id, 'pending', document_id, ordinal, job_id,
        chunk_position, chunk_text, tokens, metadata
    FROM {_CHUNK.table("c")} ORDER BY c.position
""")  # noqa: S608 - only our own column lists are put in
_INGESTION = text("""
    SELECT i.*, coalesce((SELECT sum(j.cost_usd) FROM jobs j WHERE j.ingestion_id = i.id), 0)
        AS cost_usd
    FROM ingestions i WHERE i.id = :id AND i.user_id = :user_id
""")


class PostgresCollections:
    """Implements `CollectionRepository`."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def put(self, collection: Collection) -> Collection:
        """Create the collection, or return the existing one of that user and name."""
        parameters = {
            "id": collection.id,
            "user_id": collection.user_id,
            "name": collection.name,
            "space_id": collection.space_id,
            "on_fallback": collection.on_fallback.value,
            "created_at": collection.created_at,
        }
        async with statement(self._engine) as connection:
            rows = await connection.execute(_PUT, parameters)
            return _collection(rows.mappings().one())

    async def get(self, user_id: UserId, name: str) -> Collection | None:
        """Return the user's collection of that name."""
        async with statement(self._engine) as connection:
            rows = await connection.execute(_GET, {"user_id": user_id, "name": name})
            row = rows.mappings().one_or_none()
        return None if row is None else _collection(row)

    async def all(self, user_id: UserId) -> Sequence[Collection]:
        """Return the user's collections by name."""
        async with statement(self._engine) as connection:
            rows = await connection.execute(_ALL, {"user_id": user_id})
            return [_collection(row) for row in rows.mappings()]

    async def set_on_fallback(self, collection_id: CollectionId, on_fallback: OnFallback) -> None:
        """Change what happens when the provider fails."""
        parameters = {"id": collection_id, "on_fallback": on_fallback.value}
        async with statement(self._engine) as connection:
            await connection.execute(_SET_ON_FALLBACK, parameters)

    async def delete(self, user_id: UserId, name: str) -> bool:
        """Delete the collection with its chunks and vectors; False when there is none."""
        async with statement(self._engine) as connection:
            rows = await connection.execute(_DELETE, {"user_id": user_id, "name": name})
            return rows.one_or_none() is not None

    async def ingest(self, ingestion: NewIngestion) -> Sequence[OutboxRow]:
        """Commit chunks, jobs and outbox rows together; a document id again replaces its text."""
        collection_id = ingestion.collection.id
        documents = sorted({chunk.document_id for one in ingestion.slices for chunk in one.chunks})
        async with transaction(self._engine) as connection:
            # One ingestion of a collection at a time: two with the same document would collide.
            found = await connection.execute(_LOCK, {"id": collection_id})
            if found.one_or_none() is None:
                return ()
            await supersede_documents(connection, collection_id, documents)
            await _insert_ingestion(connection, ingestion)
            return await _insert_jobs(connection, ingestion)

    async def ingestion(self, ingestion_id: IngestionId, user_id: UserId) -> IngestionView | None:
        """Return the user's ingestion."""
        async with statement(self._engine) as connection:
            rows = await connection.execute(_INGESTION, {"id": ingestion_id, "user_id": user_id})
            row = rows.mappings().one_or_none()
        return None if row is None else _view(row)


async def _insert_ingestion(connection: AsyncConnection, ingestion: NewIngestion) -> None:
    chunks = [
        (
            chunk.document_id,
            chunk.ordinal,
            one.job.id,
            chunk.position,
            chunk.text,
            chunk.tokens,
            chunk.metadata_json,
        )
        for one in ingestion.slices
        for chunk in one.chunks
    ]
    parameters = {
        "id": ingestion.id,
        "user_id": ingestion.collection.user_id,
        "collection_id": ingestion.collection.id,
        "documents": ingestion.documents,
        "chunks": len(chunks),
        "created_at": ingestion.created_at,
    }
    await connection.execute(_NEW_INGESTION, parameters)
    await connection.execute(
        _NEW_CHUNKS,
        {
            **_CHUNK.parameters(chunks),
            "collection_id": ingestion.collection.id,
            "ingestion_id": ingestion.id,
        },
    )


async def _insert_jobs(connection: AsyncConnection, ingestion: NewIngestion) -> Sequence[OutboxRow]:
    values = [new_job_values(one.job, ingestion.id) for one in ingestion.slices]
    rows = await on_pooled(connection)(
        SUBMIT_JOBS, {**NEW_JOB.parameters(values), "grace": INLINE_GRACE}
    )
    outbox_id_by_position: dict[int, int] = {row["position"]: row["outbox_id"] for row in rows}
    return [
        OutboxRow(outbox_id_by_position[position], one.job.command)
        for position, one in enumerate(ingestion.slices, start=1)
    ]


def _collection(row: RowMapping) -> Collection:
    return Collection(
        id=CollectionId(row["id"]),
        user_id=UserId(row["user_id"]),
        name=row["name"],
        space_id=SpaceId(row["space_id"]),
        on_fallback=OnFallback(row["on_fallback"]),
        created_at=row["created_at"],
    )


def _view(row: RowMapping) -> IngestionView:
    return IngestionView(
        id=IngestionId(row["id"]),
        status=_status(row),
        documents=row["documents"],
        invalid=row["invalid"],
        chunks=row["chunks"],
        embedded=row["embedded"],
        deduplicated=row["deduplicated"],
        failed=row["failed"],
        cost_usd=row["cost_usd"],
    )


def _status(row: RowMapping) -> IngestionStatus:
    if row["embedded"] + row["deduplicated"] + row["failed"] < row["chunks"]:
        return IngestionStatus.RUNNING
    if row["failed"]:
        return IngestionStatus.COMPLETED_WITH_FAILURES
    return IngestionStatus.COMPLETED
