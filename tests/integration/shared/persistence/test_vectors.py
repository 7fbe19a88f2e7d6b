import asyncio

from sqlalchemy.ext.asyncio import AsyncEngine

from shared.domain.collections import Collection
from shared.domain.embedding_space import BGE_M3, TEXT_EMBEDDING_3_SMALL, EmbeddingSpace
from shared.domain.jobs import JobKind
from shared.domain.work import JobSucceeds, StoredVector
from shared.persistence.repositories.embeddings import PostgresEmbeddings
from shared.persistence.repositories.vectors import PostgresVectors
from tests.support.embedding_jobs import (
    Table,
    claimed,
    ingested,
    new_collection,
    settlement,
    unit_vector,
)


async def _filled(
    engine: AsyncEngine, name: str = "docs", count: int = 5, space: EmbeddingSpace = BGE_M3
) -> Collection:
    """Fill a collection with documents `doc-0 …`, each along an axis of its own."""
    collection = new_collection(name, space)
    documents = {f"doc-{number}": f"text {number}" for number in range(count)}
    ingestion = await ingested(engine, collection, documents)
    job_id = ingestion.slices[0].job.id
    vectors = [StoredVector(number, unit_vector(number, space)) for number in range(count)]
    await PostgresEmbeddings(engine).settle(
        settlement(job_id, await claimed(engine, job_id, space), JobSucceeds("{}")),
        JobKind.INGEST,
        space,
        vectors,
    )
    return collection


async def test_a_search_finds_fresh_and_promoted_chunks_alike(engine: AsyncEngine) -> None:
    collection = await _filled(engine, count=6)
    vectors = PostgresVectors(engine)
    query = unit_vector(3, lean=0.5)
    before = await vectors.search(collection.id, BGE_M3, query, 3)
    assert await vectors.promote(3) == 3
    half = await vectors.search(collection.id, BGE_M3, query, 3)
    assert await vectors.promote(100) == 3
    after = await vectors.search(collection.id, BGE_M3, query, 3)
    assert [one.document_id for one in before[:2]] == ["doc-3", "doc-4"]
    assert half[:2] == before[:2]
    assert after[:2] == before[:2]
    assert len(before) == len(half) == len(after) == 3


async def test_promotion_ends_when_nothing_waits(engine: AsyncEngine) -> None:
    await _filled(engine, count=3)
    vectors = PostgresVectors(engine)
    assert [await vectors.promote(2) for _ in range(3)] == [2, 1, 0]
    assert await Table(engine).count("vectors", "indexed") == 3


async def test_promotions_at_once_never_do_a_vector_twice(engine: AsyncEngine) -> None:
    await _filled(engine, count=6)
    vectors = PostgresVectors(engine)
    done = await asyncio.gather(*(vectors.promote(2) for _ in range(3)))
    assert sum(done) == await Table(engine).count("vectors", "indexed")


async def test_a_search_stays_inside_its_collection_and_space(engine: AsyncEngine) -> None:
    collection = await _filled(engine, "one", count=2)
    await _filled(engine, "two", count=4)
    vectors = PostgresVectors(engine)
    await vectors.promote(3)
    assert len(await vectors.search(collection.id, BGE_M3, unit_vector(0), 10)) == 2
    other = TEXT_EMBEDDING_3_SMALL
    assert await vectors.search(collection.id, other, unit_vector(0, other), 10) == []


async def test_a_wider_space_is_searched_as_well(engine: AsyncEngine) -> None:
    space = TEXT_EMBEDDING_3_SMALL
    collection = await _filled(engine, space=space)
    vectors = PostgresVectors(engine)
    for _ in range(2):
        matches = await vectors.search(collection.id, space, unit_vector(1, space), 1)
        assert [one.document_id for one in matches] == ["doc-1"]
        await vectors.promote(100)
