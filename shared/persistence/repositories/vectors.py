"""Nearest neighbours: exact over fresh vectors, by the graph over the others.

A vector enters outside the graph, because building the graph costs milliseconds a row and
ingestion must not wait for it. Both kinds are searched, so a chunk is found from its commit on.
"""

from collections.abc import Sequence

import numpy as np
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.domain.collections import Match
from shared.domain.embedding_space import EmbeddingSpace
from shared.domain.ids import CollectionId
from shared.persistence.connections import statement, transaction

_EF_SEARCH = "100"
"""How wide the graph is searched; at least the greatest `k`."""
_PROMOTION_LOCK = 7_305_114
_TUNE = text("""
    SELECT set_config('hnsw.ef_search', :ef_search, true),
        set_config('hnsw.iterative_scan', 'relaxed_order', true),
        set_config('plan_cache_mode', 'force_custom_plan', true)
""")
_SEARCH = """
    WITH fresh AS (
        SELECT chunk_id, embedding::halfvec({dimensions}) <=> :query AS distance FROM vectors
        WHERE space_id = :space_id AND collection_id = :collection_id AND NOT indexed
        ORDER BY distance LIMIT :k
    ),
    indexed AS (
        SELECT chunk_id, embedding::halfvec({dimensions}) <=> :query AS distance FROM vectors
        WHERE space_id = :space_id AND collection_id = :collection_id AND indexed
        ORDER BY distance LIMIT :k
    )
    SELECT c.document_id, c.ordinal, c.text, c.metadata, 1 - found.distance AS score
    FROM (SELECT * FROM fresh UNION ALL SELECT * FROM indexed) found
    JOIN chunks c ON c.id = found.chunk_id
    -- "+ 0": the graph answers almost in order, which the planner must not take for sorted.
    ORDER BY found.distance + 0, c.id LIMIT :k
"""
_PROMOTE = text("""
    WITH lock AS MATERIALIZED (SELECT pg_try_advisory_xact_lock(:lock) AS is_ours),
    waiting AS MATERIALIZED (
        SELECT chunk_id, space_id FROM vectors
        WHERE NOT indexed AND (SELECT is_ours FROM lock)
        ORDER BY chunk_id LIMIT :limit FOR UPDATE SKIP LOCKED
    )
    UPDATE vectors v SET indexed = true FROM waiting w
    WHERE v.chunk_id = w.chunk_id AND v.space_id = w.space_id
""")


class PostgresVectors:
    """Implements `VectorStore` and `VectorIndex`."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def search(
        self, collection_id: CollectionId, space: EmbeddingSpace, query: bytes, k: int
    ) -> Sequence[Match]:
        """Return the `k` most similar chunks, best first."""
        dimensions = f"{space.dimensions:d}"
        search = text(
            _SEARCH.replace("{dimensions}", dimensions).replace(
                ":query", f"CAST(:query AS halfvec({dimensions}))"
            )
        )
        parameters = {
            "collection_id": collection_id,
            "space_id": space.id,
            "query": _literal(query),
            "k": k,
        }
        async with transaction(self._engine) as connection:
            await connection.execute(_TUNE, {"ef_search": _EF_SEARCH})
            rows = (await connection.execute(search, parameters)).all()
        return [
            Match(row.document_id, row.ordinal, float(row.score), row.text, row.metadata)
            for row in rows
        ]

    async def promote(self, limit: int) -> int:
        """Move at most `limit` vectors into the graph and return how many."""
        async with statement(self._engine) as connection:
            done = await connection.execute(_PROMOTE, {"lock": _PROMOTION_LOCK, "limit": limit})
            return done.rowcount


def _literal(query: bytes) -> str:
    numbers: list[float] = np.frombuffer(query, dtype="<f4").tolist()
    return f"[{','.join(map(repr, numbers))}]"
