"""What the API may expect of collections and of the search in them: fakes and real ones alike."""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.domain.collections import Collection, IngestionStatus, Match, NewIngestion, OnFallback
from shared.domain.embedding_space import BGE_M3, TEXT_EMBEDDING_3_SMALL
from shared.domain.ids import IngestionId, UserId
from shared.domain.jobs import JobKind
from shared.domain.work import JobSucceeds, StoredVector
from shared.persistence.engine import create_engine
from shared.persistence.repositories.collections import PostgresCollections
from shared.persistence.repositories.embeddings import PostgresEmbeddings
from shared.persistence.repositories.vectors import PostgresVectors
from shared.ports.embeddings import CollectionRepository, VectorStore
from tests.support.embedding_jobs import (
    USER,
    claimed,
    new_collection,
    new_ingestion,
    settlement,
    unit_vector,
)
from tests.support.fakes_of_collections import MemoryCollections, MemoryVectors, StoredChunk

OTHER = UserId("other")


class Bench(Protocol):
    """The repositories, and the embedding worker's part."""

    @property
    def collections(self) -> CollectionRepository:
        """Return the collections."""
        ...

    @property
    def vectors(self) -> VectorStore:
        """Return the search."""
        ...

    async def embed(self, ingestion: NewIngestion, vectors: Sequence[bytes]) -> None:
        """Store a vector of bge-m3 for each document of the only slice."""
        ...


class MemoryBench:
    """The fakes."""

    def __init__(self) -> None:
        self.collections: CollectionRepository = MemoryCollections()
        self._vectors = MemoryVectors()

    @property
    def vectors(self) -> VectorStore:
        return self._vectors

    async def embed(self, ingestion: NewIngestion, vectors: Sequence[bytes]) -> None:
        [only] = ingestion.slices
        self._vectors.chunks += [
            StoredChunk(
                ingestion.collection.id,
                BGE_M3,
                Match(chunk.document_id, chunk.ordinal, 0.0, chunk.text, chunk.metadata_json),
                vector,
            )
            for chunk, vector in zip(only.chunks, vectors, strict=True)
        ]


class PostgresBench:
    """The real ones."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self.collections: CollectionRepository = PostgresCollections(engine)
        self.vectors: VectorStore = PostgresVectors(engine)

    async def embed(self, ingestion: NewIngestion, vectors: Sequence[bytes]) -> None:
        [only] = ingestion.slices
        stored = [StoredVector(position, vector) for position, vector in enumerate(vectors)]
        attempt_id = await claimed(self._engine, only.job.id)
        step = settlement(only.job.id, attempt_id, JobSucceeds("{}"))
        await PostgresEmbeddings(self._engine).settle(step, JobKind.INGEST, BGE_M3, stored)


@pytest.fixture
async def bench(address: str) -> AsyncGenerator[Bench]:
    if not address:
        yield MemoryBench()
        return
    engine = create_engine(address)
    yield PostgresBench(engine)
    await engine.dispose()


async def _filled(bench: Bench, name: str, count: int) -> Collection:
    """Fill a collection with documents `doc-0 …`, each along an axis of its own."""
    collection = await bench.collections.put(new_collection(name))
    ingestion = new_ingestion(collection, {f"doc-{n}": f"text {n}" for n in range(count)})
    await bench.collections.ingest(ingestion)
    await bench.embed(ingestion, [unit_vector(number) for number in range(count)])
    return collection


async def test_a_collection_is_created_once_per_user_and_name(bench: Bench) -> None:
    first = await bench.collections.put(new_collection())
    assert await bench.collections.put(new_collection()) == first
    assert await bench.collections.get(USER, "docs") == first


async def test_collections_are_their_owners_only_and_listed_by_name(bench: Bench) -> None:
    for name in ("b", "a"):
        await bench.collections.put(new_collection(name))
    assert [one.name for one in await bench.collections.all(USER)] == ["a", "b"]
    assert [*await bench.collections.all(OTHER)] == []
    assert await bench.collections.get(OTHER, "a") is None
    assert not await bench.collections.delete(OTHER, "a")


async def test_what_happens_on_a_fallback_may_change(bench: Bench) -> None:
    made = await bench.collections.put(new_collection())
    await bench.collections.set_on_fallback(made.id, OnFallback.SEPARATE_SPACE)
    expected = replace(made, on_fallback=OnFallback.SEPARATE_SPACE)
    assert await bench.collections.get(USER, "docs") == expected


async def test_a_collection_is_deleted_once(bench: Bench) -> None:
    await bench.collections.put(new_collection())
    assert await bench.collections.delete(USER, "docs")
    assert not await bench.collections.delete(USER, "docs")
    assert await bench.collections.get(USER, "docs") is None


async def test_an_ingestion_gives_a_command_per_slice(bench: Bench) -> None:
    collection = await bench.collections.put(new_collection())
    ingestion = new_ingestion(collection, {"a": "x", "b": "y"}, {"c": "z"})
    rows = await bench.collections.ingest(ingestion)
    assert [row.message for row in rows] == [one.job.command for one in ingestion.slices]
    view = await bench.collections.ingestion(ingestion.id, USER)
    assert view is not None
    assert (view.status, view.documents, view.chunks) == (IngestionStatus.RUNNING, 3, 3)
    assert (view.embedded, view.deduplicated, view.failed) == (0, 0, 0)


async def test_an_ingestion_is_its_owners_only(bench: Bench) -> None:
    collection = await bench.collections.put(new_collection())
    ingestion = new_ingestion(collection, {"a": "x"})
    await bench.collections.ingest(ingestion)
    assert await bench.collections.ingestion(ingestion.id, OTHER) is None
    assert await bench.collections.ingestion(IngestionId("ing_none"), USER) is None


async def test_nothing_is_ingested_into_a_collection_that_is_gone(bench: Bench) -> None:
    ingestion = new_ingestion(new_collection(), {"a": "x"})
    assert [*await bench.collections.ingest(ingestion)] == []
    assert await bench.collections.ingestion(ingestion.id, USER) is None


async def test_the_nearest_chunks_come_first_with_their_similarity(bench: Bench) -> None:
    collection = await _filled(bench, "docs", 5)
    query = unit_vector(2, lean=0.5)
    matches = await bench.vectors.search(collection.id, BGE_M3, query, 2)
    shown = [(one.document_id, one.chunk, one.text) for one in matches]
    assert shown == [("doc-2", 0, "text 2"), ("doc-3", 0, "text 3")]
    cosines = [1 / np.sqrt(1.25), 0.5 / np.sqrt(1.25)]
    assert np.allclose([one.score for one in matches], cosines, atol=1e-3)


async def test_a_search_stays_inside_its_collection_and_space(bench: Bench) -> None:
    one = await _filled(bench, "one", 2)
    await _filled(bench, "two", 4)
    assert len(await bench.vectors.search(one.id, BGE_M3, unit_vector(0), 10)) == 2
    other = TEXT_EMBEDDING_3_SMALL
    assert [*await bench.vectors.search(one.id, other, unit_vector(0, other), 10)] == []
