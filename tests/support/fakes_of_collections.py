"""Collections and vectors in memory."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

import numpy as np

from shared.domain.collections import (
    Collection,
    IngestionStatus,
    IngestionView,
    Match,
    NewIngestion,
    OnFallback,
)
from shared.domain.embedding_space import EmbeddingSpace
from shared.domain.ids import CollectionId, IngestionId, JobId, UserId
from shared.domain.outgoing import OutboxRow


class MemoryCollections:
    """Implements `CollectionRepository`."""

    def __init__(self) -> None:
        self.collections: dict[tuple[UserId, str], Collection] = {}
        self.ingestions: dict[IngestionId, NewIngestion] = {}

    async def put(self, collection: Collection) -> Collection:
        return self.collections.setdefault((collection.user_id, collection.name), collection)

    async def get(self, user_id: UserId, name: str) -> Collection | None:
        return self.collections.get((user_id, name))

    async def all(self, user_id: UserId) -> Sequence[Collection]:
        return [one for (owner, _), one in sorted(self.collections.items()) if owner == user_id]

    async def set_on_fallback(self, collection_id: CollectionId, on_fallback: OnFallback) -> None:
        for place, one in self.collections.items():
            if one.id == collection_id:
                self.collections[place] = replace(one, on_fallback=on_fallback)

    async def delete(self, user_id: UserId, name: str) -> bool:
        return self.collections.pop((user_id, name), None) is not None

    async def ingest(self, ingestion: NewIngestion) -> Sequence[OutboxRow]:
        if ingestion.collection not in self.collections.values():
            return []
        self.ingestions[ingestion.id] = ingestion
        return [
            OutboxRow(number, one.job.command) for number, one in enumerate(ingestion.slices, 1)
        ]

    async def ingestion(self, ingestion_id: IngestionId, user_id: UserId) -> IngestionView | None:
        found = self.ingestions.get(ingestion_id)
        if found is None or found.collection.user_id != user_id:
            return None
        return IngestionView(
            id=found.id,
            status=IngestionStatus.RUNNING,
            documents=found.documents,
            invalid=0,
            chunks=sum(len(one.chunks) for one in found.slices),
            embedded=0,
            deduplicated=0,
            failed=0,
            cost_usd=Decimal(0),
        )


@dataclass(frozen=True, slots=True)
class StoredChunk:
    """A chunk and its vector, little-endian float32."""

    collection_id: CollectionId
    space: EmbeddingSpace
    match: Match
    vector: bytes


class MemoryVectors:
    """Implements `StoredEmbeddings` and `VectorStore`."""

    def __init__(self) -> None:
        self.by_job: dict[JobId, tuple[EmbeddingSpace, Mapping[int, bytes]]] = {}
        self.chunks: list[StoredChunk] = []
        self.searches: list[tuple[CollectionId, bytes, int]] = []

    async def results(self, job_id: JobId) -> tuple[EmbeddingSpace, Mapping[int, bytes]] | None:
        return self.by_job.get(job_id)

    async def search(
        self, collection_id: CollectionId, space: EmbeddingSpace, query: bytes, k: int
    ) -> Sequence[Match]:
        self.searches.append((collection_id, query, k))
        found = [
            replace(one.match, score=_cosine(query, one.vector))
            for one in self.chunks
            if (one.collection_id, one.space) == (collection_id, space)
        ]
        return sorted(found, key=lambda match: -match.score)[:k]


def _cosine(one: bytes, other: bytes) -> float:
    first, second = np.frombuffer(one, "<f4"), np.frombuffer(other, "<f4")
    lengths = float(np.linalg.norm(first)) * float(np.linalg.norm(second))
    return float(first @ second) / lengths
