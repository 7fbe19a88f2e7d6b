"""Collections, ingestions and matches as clients see them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

import orjson
from pydantic import BaseModel, JsonValue

from shared.domain.collections import Collection, IngestionView, Match
from shared.domain.embedding_space import EmbeddingSpace
from shared.messages.frames import Usd


class CollectionView(BaseModel):
    """A collection and the space its vectors live in."""

    object: Literal["collection"] = "collection"
    name: str
    embedding: str
    embedding_space: str
    dimensions: int
    on_fallback: str
    created_at: datetime


class CollectionList(BaseModel):
    """Every collection of the caller."""

    object: Literal["list"] = "list"
    data: list[CollectionView]


class IngestionAccepted(BaseModel):
    """Documents that are durable and will be embedded."""

    ingestion_id: str


class IngestionBody(BaseModel):
    """What has happened to an ingestion's chunks so far."""

    id: str
    object: Literal["ingestion"] = "ingestion"
    status: str
    documents: int
    invalid: int
    chunks: int
    embedded: int
    deduplicated: int
    failed: int
    cost_usd: Usd
    eta_seconds: float | None = None


class MatchBody(BaseModel):
    """A found chunk; `score` is the cosine similarity."""

    document_id: str
    chunk: int
    score: float
    text: str
    metadata: JsonValue


class Matches(BaseModel):
    """What a search found, best first."""

    matches: list[MatchBody]


def collection_view(collection: Collection, space: EmbeddingSpace) -> CollectionView:
    """Return a collection's body."""
    return CollectionView(
        name=collection.name,
        embedding=space.model,
        embedding_space=space.id,
        dimensions=space.dimensions,
        on_fallback=collection.on_fallback,
        created_at=collection.created_at,
    )


def ingestion_body(view: IngestionView) -> IngestionBody:
    """Return an ingestion's body."""
    return IngestionBody(
        id=view.id,
        status=view.status,
        documents=view.documents,
        invalid=view.invalid,
        chunks=view.chunks,
        embedded=view.embedded,
        deduplicated=view.deduplicated,
        failed=view.failed,
        cost_usd=view.cost_usd,
    )


def matches_body(found: Sequence[Match]) -> Matches:
    """Return a search's body."""
    return Matches(
        matches=[
            MatchBody(
                document_id=match.document_id,
                chunk=match.chunk,
                score=match.score,
                text=match.text,
                metadata=None if match.metadata_json is None else orjson.loads(match.metadata_json),
            )
            for match in found
        ]
    )
