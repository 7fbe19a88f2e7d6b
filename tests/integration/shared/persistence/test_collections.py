import asyncio

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.domain.collections import IngestionStatus, IngestionView, NewIngestion, OnFallback
from shared.domain.embedding_space import BGE_M3
from shared.domain.ids import UserId
from shared.domain.jobs import JobKind
from shared.domain.lost_work import Abandonment
from shared.domain.outgoing import DelayedMessage
from shared.domain.views import ErrorView
from shared.domain.work import JobFails, JobSucceeds
from shared.messages.endings import failure
from shared.persistence.repositories.collections import PostgresCollections
from shared.persistence.repositories.embeddings import PostgresEmbeddings
from shared.persistence.repositories.leases import PostgresLeases
from tests.support.embedding_jobs import (
    USER,
    Table,
    claimed,
    ingested,
    new_collection,
    new_ingestion,
    settlement,
    unit_vectors,
)

_SUCCEEDS = JobSucceeds("{}")


async def _view(engine: AsyncEngine, ingestion: NewIngestion) -> IngestionView:
    view = await PostgresCollections(engine).ingestion(ingestion.id, USER)
    assert view is not None
    return view


async def _embed(engine: AsyncEngine, ingestion: NewIngestion, number: int = 0) -> None:
    one = ingestion.slices[number]
    attempt_id = await claimed(engine, one.job.id)
    vectors = unit_vectors(*(chunk.position for chunk in one.chunks))
    await PostgresEmbeddings(engine).settle(
        settlement(one.job.id, attempt_id, _SUCCEEDS), JobKind.INGEST, BGE_M3, vectors
    )


async def test_what_happens_on_fallback_can_be_changed(engine: AsyncEngine) -> None:
    collections = PostgresCollections(engine)
    created = await collections.put(new_collection())
    await collections.set_on_fallback(created.id, OnFallback.SEPARATE_SPACE)
    found = await collections.get(USER, "docs")
    assert found is not None
    assert found.on_fallback is OnFallback.SEPARATE_SPACE


async def test_an_ingestion_commits_chunks_jobs_and_commands(engine: AsyncEngine) -> None:
    collections = PostgresCollections(engine)
    collection = await collections.put(new_collection())
    ingestion = new_ingestion(collection, {"a": "x", "b": "y"}, {"c": "z"})
    rows = await collections.ingest(ingestion)
    assert [row.message for row in rows] == [one.job.command for one in ingestion.slices]
    table = Table(engine)
    assert await table.count("chunks", "status = 'pending'") == 3
    assert await table.count("jobs", f"ingestion_id = '{ingestion.id}'") == 2
    assert await table.count("outbox") == 2
    view = await _view(engine, ingestion)
    assert (view.status, view.documents, view.chunks) == (IngestionStatus.RUNNING, 3, 3)


async def test_an_ingestion_is_complete_when_every_chunk_has_its_vector(
    engine: AsyncEngine,
) -> None:
    ingestion = await ingested(engine, new_collection(), {"a": "x", "b": "y"}, {"c": "z"})
    await _embed(engine, ingestion, 0)
    assert (await _view(engine, ingestion)).status is IngestionStatus.RUNNING
    await _embed(engine, ingestion, 1)
    view = await _view(engine, ingestion)
    assert (view.status, view.embedded) == (IngestionStatus.COMPLETED, 3)
    assert str(view.cost_usd) == "0.002"


async def test_a_failed_job_fails_its_chunks_and_the_counts_add_up(engine: AsyncEngine) -> None:
    ingestion = await ingested(engine, new_collection(), {"a": "x", "b": "y"}, {"c": "z"})
    await _embed(engine, ingestion, 1)
    job_id = ingestion.slices[0].job.id
    attempt_id = await claimed(engine, job_id)
    step = JobFails(ErrorView("provider_unavailable", "nobody answered"))
    await PostgresEmbeddings(engine).settle(
        settlement(job_id, attempt_id, step), JobKind.INGEST, BGE_M3, ()
    )
    view = await _view(engine, ingestion)
    assert view.status is IngestionStatus.COMPLETED_WITH_FAILURES
    assert (view.embedded, view.failed) == (1, 2)


async def test_a_job_whose_worker_is_lost_for_good_fails_its_chunks(engine: AsyncEngine) -> None:
    ingestion = await ingested(engine, new_collection(), {"a": "x"})
    await claimed(engine, ingestion.slices[0].job.id)
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE jobs SET lease_until = now() - interval '1 second'"))
    leases = PostgresLeases(engine)
    (lost,) = await leases.expired(10)
    frame = failure(lost.id, "worker_lost", "too often")
    step = JobFails(ErrorView("worker_lost", "too often"))
    await leases.abandon(Abandonment(lost, step, [DelayedMessage(frame)], frame.body))
    assert (await _view(engine, ingestion)).failed == 1


async def test_a_document_again_replaces_its_chunks_and_vectors(engine: AsyncEngine) -> None:
    collection = new_collection()
    first = await ingested(engine, collection, {"a": "old", "b": "stays"})
    await _embed(engine, first)
    second = await ingested(engine, collection, {"a": "new"})
    table = Table(engine)
    assert await table.count("chunks", "document_id = 'a' AND text = 'new'") == 1
    assert await table.count("chunks", "document_id = 'a'") == 1
    assert await table.count("vectors") == 1
    await _embed(engine, second)
    assert await table.count("vectors") == 2
    assert (await _view(engine, first)).status is IngestionStatus.COMPLETED


async def test_superseded_pending_chunks_count_as_deduplicated(engine: AsyncEngine) -> None:
    collection = new_collection()
    first = await ingested(engine, collection, {"a": "old", "b": "stays"})
    await ingested(engine, collection, {"a": "new"})
    assert (await _view(engine, first)).deduplicated == 1
    await _embed(engine, first)
    view = await _view(engine, first)
    assert (view.embedded, view.deduplicated, view.status) == (1, 1, IngestionStatus.COMPLETED)


async def test_ingestions_of_the_same_documents_at_once_do_not_collide(
    engine: AsyncEngine,
) -> None:
    collections = PostgresCollections(engine)
    collection = await collections.put(new_collection())
    documents = {f"doc-{number}": "text" for number in range(20)}
    ingestions = [new_ingestion(collection, documents) for _ in range(4)]
    await asyncio.gather(*(collections.ingest(one) for one in ingestions))
    assert await Table(engine).count("chunks") == 20
    views = [await _view(engine, one) for one in ingestions]
    assert sum(view.deduplicated for view in views) == 60


async def test_settling_and_replacing_the_same_documents_at_once_keeps_the_counts(
    engine: AsyncEngine,
) -> None:
    collection = new_collection()
    documents = {f"doc-{number}": "text" for number in range(30)}
    first = await ingested(engine, collection, documents)
    await asyncio.gather(
        _embed(engine, first),
        PostgresCollections(engine).ingest(new_ingestion(collection, documents)),
    )
    view = await _view(engine, first)
    assert view.embedded + view.deduplicated == 30
    assert await Table(engine).count("vectors") == 0


async def test_an_ingestion_into_a_deleted_collection_commits_nothing(engine: AsyncEngine) -> None:
    collections = PostgresCollections(engine)
    collection = await collections.put(new_collection())
    assert await collections.delete(USER, "docs")
    assert await collections.ingest(new_ingestion(collection, {"a": "x"})) == ()
    assert await Table(engine).count("jobs") == 0


async def test_a_deleted_collection_takes_chunks_and_vectors_along(engine: AsyncEngine) -> None:
    ingestion = await ingested(engine, new_collection(), {"a": "x"})
    await _embed(engine, ingestion)
    collections = PostgresCollections(engine)
    assert not await collections.delete(UserId("other"), "docs")
    assert await collections.delete(USER, "docs")
    assert not await collections.delete(USER, "docs")
    assert await Table(engine).count("vectors") == 0


async def test_another_users_ingestion_does_not_exist(engine: AsyncEngine) -> None:
    ingestion = await ingested(engine, new_collection(), {"a": "x"})
    found = await PostgresCollections(engine).ingestion(ingestion.id, UserId("other"))
    assert found is None
