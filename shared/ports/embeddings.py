"""Collections, the texts a job still has to embed, and the vectors."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from shared.domain.collections import (
    Collection,
    EmbeddingWork,
    IngestionView,
    Match,
    NewIngestion,
    OnFallback,
)
from shared.domain.embedding_space import EmbeddingSpace
from shared.domain.ids import CollectionId, IngestionId, JobId, UserId
from shared.domain.jobs import JobKind
from shared.domain.outgoing import OutboxRow, OutgoingMessage
from shared.domain.views import ErrorView
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
        """Commit chunks, jobs and outbox rows together; a document id again replaces its text.

        Returns:
            The commands' rows; none when the collection has been deleted meanwhile, and then
            nothing was committed.
        """
        ...

    async def ingestion(self, ingestion_id: IngestionId, user_id: UserId) -> IngestionView | None:
        """Return the user's ingestion."""
        ...


class EmbeddingRepository(Protocol):
    """The embedding worker's side: texts without a vector, and vectors stored as they are paid."""

    async def pending(self, job_id: JobId, kind: JobKind) -> EmbeddingWork:
        """Return the job's texts that have no vector yet; none when there is no such job."""
        ...

    async def settle(
        self,
        settlement: Settlement,
        kind: JobKind,
        space: EmbeddingSpace,
        vectors: Sequence[StoredVector],
    ) -> SettledJob:
        """As `AttemptRepository.settle`, storing the vectors in the same commit.

        A lost lease stores nothing. Texts that an ended job leaves without a vector are counted as
        failed, so that an ingestion's counts always add up.

        Raises:
            ValueError: A vector is not of the space's width.
        """
        ...

    async def succeed_empty(
        self, job_id: JobId, result_json: str, frame: OutgoingMessage
    ) -> Sequence[OutboxRow]:
        """End a queued job that has nothing left to embed; nothing happens if it isn't queued."""
        ...

    async def fail_unstarted(
        self, job_id: JobId, error: ErrorView, frame: OutgoingMessage
    ) -> Sequence[OutboxRow]:
        """End a queued job that can never be called, unpaid, with its texts counted as failed."""
        ...

    async def expire(self, job_id: JobId, frame: OutgoingMessage) -> Sequence[OutboxRow]:
        """End a queued job whose deadline has passed, unpaid, with its texts counted as failed."""
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


class VectorIndex(Protocol):
    """The graph that makes searching fast, built behind ingestion's back."""

    async def promote(self, limit: int) -> int:
        """Move at most `limit` vectors into the graph and return how many.

        0 also when another process is at it. Searches find a vector before and after alike.
        """
        ...
