"""Chunks on their way to a vector, and the counts of the ingestions they came with.

Invariant: of every ingestion, `chunks` = pending chunks + `embedded` + `deduplicated` + `failed`.
Rows are locked in the order chunks by id, then ingestions by id, so that nothing deadlocks.
"""

from collections.abc import Mapping, Sequence

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.domain.embedding_space import EmbeddingSpace
from shared.domain.ids import CollectionId, JobId
from shared.domain.work import StoredVector
from shared.persistence.arrays import Batch
from shared.persistence.half_vectors import half_vectors

_VECTOR_OF_JOB = Batch(job_id="text", chunk_position="integer")
_LOCKED_INGESTIONS = """
    counted AS MATERIALIZED (SELECT ingestion_id, count(*) AS count FROM {moved} GROUP BY 1),
    locked AS MATERIALIZED (
        SELECT id FROM ingestions WHERE id IN (SELECT ingestion_id FROM counted)
        ORDER BY id FOR NO KEY UPDATE
    )
    UPDATE ingestions i SET {column} = i.{column} + counted.count
    FROM counted JOIN locked ON locked.id = counted.ingestion_id WHERE i.id = counted.ingestion_id
"""
_STORE = text(f"""
    WITH new AS (
        SELECT n.*, e.embedding FROM {_VECTOR_OF_JOB.table("n")} JOIN
        unnest(CAST(:embeddings AS halfvec[])) WITH ORDINALITY AS e(embedding, position)
            USING (position)
    ),
    found AS MATERIALIZED (
        SELECT c.id, c.ingestion_id, c.collection_id, new.embedding
        FROM new JOIN chunks c ON c.job_id = new.job_id AND c.position = new.chunk_position
        WHERE c.status = 'pending'
        ORDER BY c.id FOR UPDATE OF c
    ),
    moved AS (
        UPDATE chunks SET status = 'embedded' FROM found WHERE chunks.id = found.id
        RETURNING chunks.ingestion_id
    ),
    stored AS (
        INSERT INTO vectors (space_id, chunk_id, collection_id, embedding)
        SELECT :space_id, id, collection_id, embedding FROM found
    ),
    {_LOCKED_INGESTIONS.format(moved="moved", column="embedded")}
""")  # noqa: S608 - only our own column lists are put in
_FAIL_PENDING = text(f"""
    WITH found AS MATERIALIZED (
        SELECT id, ingestion_id FROM chunks
        WHERE job_id = ANY(CAST(:job_ids AS text[])) AND status = 'pending'
        ORDER BY id FOR UPDATE
    ),
    moved AS (
        UPDATE chunks SET status = 'failed' FROM found WHERE chunks.id = found.id
        RETURNING chunks.ingestion_id
    ),
    {_LOCKED_INGESTIONS.format(moved="moved", column="failed")}
""")  # noqa: S608 - as above
_SUPERSEDE = text(f"""
    WITH found AS MATERIALIZED (
        SELECT id, ingestion_id, status FROM chunks
        WHERE collection_id = :collection_id
            AND document_id = ANY(CAST(:document_ids AS text[]))
        ORDER BY id FOR UPDATE
    ),
    gone AS (DELETE FROM chunks USING found WHERE chunks.id = found.id),
    moved AS (SELECT ingestion_id FROM found WHERE status = 'pending'),
    {_LOCKED_INGESTIONS.format(moved="moved", column="deduplicated")}
""")  # noqa: S608 - as above


async def store_vectors(
    connection: AsyncConnection,
    space: EmbeddingSpace,
    vectors: Sequence[tuple[JobId, StoredVector]],
) -> None:
    """Give pending chunks their vectors in one space; chunks that are gone meanwhile are left out.

    Args:
        connection: Of a transaction.
        space: What the vectors mean.
        vectors: At least one, each with the job that its chunk belongs to.
    """
    rows = [(job_id, stored.position) for job_id, stored in vectors]
    parameters: Mapping[str, object] = {
        **_VECTOR_OF_JOB.parameters(rows),
        "embeddings": await half_vectors(connection, [stored.vector for _, stored in vectors]),
        "space_id": space.id,
    }
    await connection.execute(_STORE, parameters)


async def fail_pending_chunks(connection: AsyncConnection, job_ids: Sequence[JobId]) -> None:
    """Count what ended jobs leave without a vector as failed; other jobs have no such chunks."""
    await connection.execute(_FAIL_PENDING, {"job_ids": list(job_ids)})


async def supersede_documents(
    connection: AsyncConnection, collection_id: CollectionId, document_ids: Sequence[str]
) -> None:
    """Delete the documents' chunks and vectors; those still pending count as deduplicated."""
    parameters = {"collection_id": collection_id, "document_ids": list(document_ids)}
    await connection.execute(_SUPERSEDE, parameters)
