"""Collections of documents, their ingestions, and what a search finds."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from shared.domain.ids import CollectionId, IngestionId, SpaceId, UserId
from shared.domain.work import NewJob


class OnFallback(StrEnum):
    """What a collection does when its space's provider fails: wait, or fill another space."""

    WAIT = "wait"
    SEPARATE_SPACE = "separate_space"


class IngestionStatus(StrEnum):
    """Where an ingestion stands."""

    RECEIVING = "receiving"
    RUNNING = "running"
    PAUSED = "paused"
    COMPLETED = "completed"
    COMPLETED_WITH_FAILURES = "completed_with_failures"
    CANCELLED = "cancelled"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Collection:
    """A user's named set of documents with one active embedding space."""

    id: CollectionId
    user_id: UserId
    name: str
    space_id: SpaceId
    on_fallback: OnFallback
    created_at: datetime


@dataclass(frozen=True, slots=True)
class NewChunk:
    """One text to embed: `position` within its job, `ordinal` within its document."""

    document_id: str
    ordinal: int
    position: int
    text: str
    tokens: int
    metadata_json: str | None


@dataclass(frozen=True, slots=True)
class IngestionSlice:
    """One job of an ingestion and the chunks it embeds."""

    job: NewJob
    chunks: Sequence[NewChunk]


@dataclass(frozen=True, slots=True)
class NewIngestion:
    """Documents as accepted, cut into jobs; committed together with the jobs' outbox rows."""

    id: IngestionId
    collection: Collection
    documents: int
    slices: Sequence[IngestionSlice]
    created_at: datetime


@dataclass(frozen=True, slots=True)
class IngestionView:
    """What has happened to an ingestion's chunks so far; `cost_usd` sums its jobs."""

    id: IngestionId
    status: IngestionStatus
    documents: int
    invalid: int
    chunks: int
    embedded: int
    deduplicated: int
    failed: int
    cost_usd: Decimal


@dataclass(frozen=True, slots=True)
class PendingText:
    """A text of a job that has no vector yet."""

    position: int
    text: str
    tokens: int


@dataclass(frozen=True, slots=True)
class EmbeddingWork:
    """What a job still has to embed, and where its vectors may go.

    Attributes:
        texts: Those without a vector, by position.
        count: How many texts the job has in all.
        space_id: The space the vectors belong in: the collection's, or that of the vectors the job
            has already; None while every space is open to it.
        on_fallback: Whether another space may be filled when that one's provider fails.
    """

    texts: Sequence[PendingText]
    count: int
    space_id: SpaceId | None
    on_fallback: OnFallback


@dataclass(frozen=True, slots=True)
class Match:
    """A found chunk; `score` is the cosine similarity, 1 for identical."""

    document_id: str
    chunk: int
    score: float
    text: str
    metadata_json: str | None
