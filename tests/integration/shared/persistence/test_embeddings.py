import asyncio

import pytest
from psycopg.errors import CheckViolation
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.domain.collections import OnFallback
from shared.domain.embedding_space import BGE_M3, TEXT_EMBEDDING_3_SMALL
from shared.domain.ids import JobId
from shared.domain.jobs import JobKind, JobStatus
from shared.domain.views import ErrorView
from shared.domain.work import JobContinues, JobSucceeds
from shared.messages.endings import failure
from shared.persistence.repositories.embeddings import PostgresEmbeddings
from shared.persistence.repositories.jobs import PostgresJobs
from tests.support.embedding_jobs import (
    USER,
    Table,
    claimed,
    ingested,
    new_collection,
    settlement,
    submitted,
    unit_vectors,
)

_SUCCEEDS = JobSucceeds('{"count": 2}')
_ENDED = ErrorView("unknown_price", "no price")


async def test_a_text_with_a_vector_is_pending_no_more_and_decides_the_space(
    engine: AsyncEngine,
) -> None:
    job = await submitted(engine, "one", "two")
    embeddings = PostgresEmbeddings(engine)
    attempt_id = await claimed(engine, job.id)
    settled = await embeddings.settle(
        settlement(job.id, attempt_id, JobContinues()),
        JobKind.EMBED,
        TEXT_EMBEDDING_3_SMALL,
        unit_vectors(0, space=TEXT_EMBEDDING_3_SMALL),
    )
    assert settled.applied
    work = await embeddings.pending(job.id, JobKind.EMBED)
    assert [one.position for one in work.texts] == [1]
    assert work.space_id == TEXT_EMBEDDING_3_SMALL.id
    assert work.on_fallback is OnFallback.WAIT


async def test_a_job_that_does_not_exist_has_nothing_pending(engine: AsyncEngine) -> None:
    for kind in (JobKind.EMBED, JobKind.INGEST):
        work = await PostgresEmbeddings(engine).pending(JobId("job_none"), kind)
        assert (work.texts, work.count, work.space_id) == ((), 0, None)


async def test_chunks_are_pending_in_their_collections_space(engine: AsyncEngine) -> None:
    collection = new_collection(on_fallback=OnFallback.SEPARATE_SPACE)
    ingestion = await ingested(engine, collection, {"a": "first", "b": "second"})
    job_id = ingestion.slices[0].job.id
    work = await PostgresEmbeddings(engine).pending(job_id, JobKind.INGEST)
    assert [one.text for one in work.texts] == ["first", "second"]
    assert (work.count, work.space_id) == (2, BGE_M3.id)
    assert work.on_fallback is OnFallback.SEPARATE_SPACE


async def test_an_embedded_chunk_is_pending_no_more(engine: AsyncEngine) -> None:
    ingestion = await ingested(engine, new_collection(), {"a": "first", "b": "second"})
    job_id = ingestion.slices[0].job.id
    embeddings = PostgresEmbeddings(engine)
    attempt_id = await claimed(engine, job_id)
    await embeddings.settle(
        settlement(job_id, attempt_id, JobContinues()), JobKind.INGEST, BGE_M3, unit_vectors(1)
    )
    work = await embeddings.pending(job_id, JobKind.INGEST)
    assert ([one.position for one in work.texts], work.count) == ([0], 2)


async def test_results_are_the_vectors_by_position(engine: AsyncEngine) -> None:
    job = await submitted(engine, "one", "two")
    embeddings = PostgresEmbeddings(engine)
    vectors = unit_vectors(0, 1)
    await embeddings.settle(
        settlement(job.id, await claimed(engine, job.id), _SUCCEEDS),
        JobKind.EMBED,
        BGE_M3,
        vectors,
    )
    assert await embeddings.results(job.id) == (
        BGE_M3,
        {one.position: one.vector for one in vectors},
    )
    view = await PostgresJobs(engine).get(job.id, USER)
    assert view is not None
    assert (view.status, view.result_json) == (JobStatus.SUCCEEDED, '{"count": 2}')


@pytest.mark.parametrize("kind", [JobKind.EMBED, JobKind.INGEST])
async def test_a_settlement_again_stores_nothing(engine: AsyncEngine, kind: JobKind) -> None:
    job = await submitted(engine, "one")
    ingestion = await ingested(engine, new_collection(), {"a": "x"})
    job_id = job.id if kind is JobKind.EMBED else ingestion.slices[0].job.id
    embeddings = PostgresEmbeddings(engine)
    step = settlement(job_id, await claimed(engine, job_id), JobContinues())
    assert (await embeddings.settle(step, kind, BGE_M3, ())).applied
    assert not (await embeddings.settle(step, kind, BGE_M3, unit_vectors(0))).applied
    table = Table(engine)
    assert await table.count("job_vectors") + await table.count("vectors") == 0


async def test_a_lost_attempt_stores_nothing(engine: AsyncEngine) -> None:
    ingestion = await ingested(engine, new_collection(), {"a": "x"})
    job_id = ingestion.slices[0].job.id
    attempt_id = await claimed(engine, job_id)
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE attempts SET outcome = 'unknown'"))
    settled = await PostgresEmbeddings(engine).settle(
        settlement(job_id, attempt_id, _SUCCEEDS), JobKind.INGEST, BGE_M3, unit_vectors(0)
    )
    assert not settled.applied
    table = Table(engine)
    assert await table.count("vectors") == 0
    assert await table.count("chunks", "status = 'pending'") == 1


async def test_many_settlements_at_once_each_store_their_own(engine: AsyncEngine) -> None:
    slices = [{f"{number}-{one}": "x" for one in range(3)} for number in range(8)]
    ingestion = await ingested(engine, new_collection(), *slices)
    embeddings = PostgresEmbeddings(engine)

    async def settle(job_id: JobId) -> None:
        step = settlement(job_id, await claimed(engine, job_id), _SUCCEEDS)
        await embeddings.settle(step, JobKind.INGEST, BGE_M3, unit_vectors(0, 1, 2))

    await asyncio.gather(*(settle(one.job.id) for one in ingestion.slices))
    assert await Table(engine).count("vectors") == 24
    assert await Table(engine).count("ingestions", "embedded = 24") == 1


async def test_the_database_keeps_another_spaces_vector_out(engine: AsyncEngine) -> None:
    await ingested(engine, new_collection(), {"a": "x"})
    statement = text("""
        INSERT INTO vectors (space_id, chunk_id, collection_id, embedding)
        SELECT 'bge-m3', id, collection_id, array_fill(0.1, ARRAY[1536])::halfvec FROM chunks
    """)
    async with engine.connect() as connection:
        with pytest.raises(IntegrityError) as refused:
            await connection.execute(statement)
    assert isinstance(refused.value.orig, CheckViolation)


async def test_a_fallbacks_vectors_go_into_its_own_space(engine: AsyncEngine) -> None:
    ingestion = await ingested(engine, new_collection(), {"a": "x"})
    job_id = ingestion.slices[0].job.id
    space = TEXT_EMBEDDING_3_SMALL
    step = settlement(job_id, await claimed(engine, job_id, space), _SUCCEEDS)
    await PostgresEmbeddings(engine).settle(
        step, JobKind.INGEST, space, unit_vectors(0, space=space)
    )
    assert await Table(engine).count("vectors", f"space_id = '{space.id}'") == 1


async def test_what_a_finished_job_left_out_counts_as_failed(engine: AsyncEngine) -> None:
    ingestion = await ingested(engine, new_collection(), {"a": "x", "b": "y"})
    job_id = ingestion.slices[0].job.id
    step = settlement(job_id, await claimed(engine, job_id), _SUCCEEDS)
    await PostgresEmbeddings(engine).settle(step, JobKind.INGEST, BGE_M3, unit_vectors(0))
    assert await Table(engine).count("ingestions", "embedded = 1 AND failed = 1") == 1


async def test_a_queued_job_with_nothing_left_succeeds_once(engine: AsyncEngine) -> None:
    job = await submitted(engine, "one")
    embeddings = PostgresEmbeddings(engine)
    frame = failure(job.id, "ended", "for a test")
    rows = await embeddings.succeed_empty(job.id, '{"count": 0}', frame)
    assert [row.message for row in rows] == [frame]
    assert await embeddings.succeed_empty(job.id, "{}", frame) == []
    view = await PostgresJobs(engine).get(job.id, USER)
    assert view is not None
    assert (view.status, view.result_json) == (JobStatus.SUCCEEDED, '{"count": 0}')
    assert await Table(engine).count("deliveries") == 1


async def test_a_running_job_is_not_ended_as_empty(engine: AsyncEngine) -> None:
    job = await submitted(engine, "one")
    await claimed(engine, job.id)
    frame = failure(job.id, "ended", "for a test")
    assert await PostgresEmbeddings(engine).succeed_empty(job.id, "{}", frame) == []


async def test_a_job_that_fails_unstarted_fails_its_chunks(engine: AsyncEngine) -> None:
    ingestion = await ingested(engine, new_collection(), {"a": "x", "b": "y"})
    job_id = ingestion.slices[0].job.id
    frame = failure(job_id, _ENDED.code, _ENDED.message)
    embeddings = PostgresEmbeddings(engine)
    assert len(await embeddings.fail_unstarted(job_id, _ENDED, frame)) == 1
    assert await embeddings.fail_unstarted(job_id, _ENDED, frame) == []
    table = Table(engine)
    assert await table.count("ingestions", "failed = 2") == 1
    assert await table.count("jobs", "status = 'failed' AND error_code = 'unknown_price'") == 1


async def test_an_expired_job_fails_its_chunks(engine: AsyncEngine) -> None:
    ingestion = await ingested(engine, new_collection(), {"a": "x"})
    job_id = ingestion.slices[0].job.id
    rows = await PostgresEmbeddings(engine).expire(job_id, failure(job_id, "expired", "late"))
    assert len(rows) == 1
    assert await Table(engine).count("ingestions", "failed = 1") == 1
    assert await Table(engine).count("jobs", "status = 'expired'") == 1


async def test_the_same_worker_claims_the_next_batch(engine: AsyncEngine) -> None:
    job = await submitted(engine, "one", "two")
    embeddings = PostgresEmbeddings(engine)
    step = settlement(job.id, await claimed(engine, job.id), JobContinues())
    await embeddings.settle(step, JobKind.EMBED, BGE_M3, unit_vectors(0))
    last = settlement(job.id, await claimed(engine, job.id), _SUCCEEDS)
    assert (await embeddings.settle(last, JobKind.EMBED, BGE_M3, unit_vectors(1))).applied
    assert await Table(engine).count("jobs", "status = 'succeeded'") == 1
