"""Collections, the texts a job still has to embed, and the vectors."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from shared.domain.collections import (
    Collection,
    IngestionView,
    Match,
    NewIngestion,
    OnFallback,
    PendingText,
)
from shared.domain.embedding_space import EmbeddingSpace
from shared.domain.ids import CollectionId, IngestionId, JobId, UserId
from shared.domain.jobs import JobKind
from shared.domain.outgoing import OutboxRow
from shared.domain.work import SettledJob, Settlement, StoredVector


class CollectionRepository(Protocol):
    """Collections and their documents, each seen by its owner only."""

    async def put(self, collection: Collection) -> Collection:
        """Create the collection, or return the existing one of that user and name."""
        ...

    async def get(self, user_id: UserId, name: str) -> Collection | None:
        """Return the user's collection of that name."""
        ...

    async def all(self, user_id: UserId) -> Sequence[Collection]:
        """Return the user's collections by name."""
        ...

    async def set_on_fallback(self, collection_id: CollectionId, on_fallback: OnFallback) -> None:
        """Change what happens when the provider fails."""
        ...

    async def delete(self, user_id: UserId, name: str) -> bool:
        """Delete the collection with its chunks and vectors; False when there is none."""
        ...

    async def ingest(self, ingestion: NewIngestion) -> Sequence[OutboxRow]:
        """Commit chunks, jobs and outbox rows together; a document id again replaces its text."""
        ...

    async def ingestion(self, ingestion_id: IngestionId, user_id: UserId) -> IngestionView | None:
        """Return the user's ingestion."""
        ...


class EmbeddingRepository(Protocol):
    """The embedding worker's side: texts without a vector, and vectors stored as they are paid."""

    async def pending(self, job_id: JobId, kind: JobKind) -> Sequence[PendingText]:
        """Return the job's texts that have no vector yet, by position."""
        ...

    async def settle(
        self,
        settlement: Settlement,
        kind: JobKind,
        space: EmbeddingSpace,
        vectors: Sequence[StoredVector],
    ) -> SettledJob:
        """As `AttemptRepository.settle`, storing the vectors in the same commit.

        The job succeeds when no text is left without a vector, whatever the settlement's step says.
        """
        ...

    async def results(self, job_id: JobId) -> tuple[EmbeddingSpace, Mapping[int, bytes]] | None:
        """Return an embed job's vectors by position (little-endian float32) and their space."""
        ...


class VectorStore(Protocol):
    """Nearest neighbours inside one embedding space."""

    async def search(
        self, collection_id: CollectionId, space: EmbeddingSpace, query: bytes, k: int
    ) -> Sequence[Match]:
        """Return the `k` most similar chunks, best first.

        Args:
            collection_id: Where to look.
            space: The space that the query vector belongs to.
            query: Little-endian float32, `space.dimensions` values.
            k: At most how many matches, 1 to 100.
        """
        ...
