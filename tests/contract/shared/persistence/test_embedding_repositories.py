"""What the embedding worker may expect of its repository: the fake and the real one alike."""

from collections.abc import AsyncGenerator
from typing import Protocol

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.domain.collections import EmbeddingWork, OnFallback, PendingText
from shared.domain.embedding_space import BGE_M3, TEXT_EMBEDDING_3_SMALL
from shared.domain.ids import AttemptId, JobId
from shared.domain.jobs import JobKind, JobStatus
from shared.domain.tokens import estimated_tokens
from shared.domain.views import ErrorView
from shared.domain.work import JobContinues, JobSucceeds
from shared.messages.endings import failure
from shared.persistence.engine import create_engine
from shared.persistence.repositories.embeddings import PostgresEmbeddings
from shared.ports.embeddings import EmbeddingRepository
from tests.support.embedding_jobs import claimed, settlement, submitted, unit_vectors
from tests.support.fakes_of_embedding import MemoryEmbeddings

NOBODY = JobId("job_none")
ERROR = ErrorView("unknown_price", "no price")


class Bench(Protocol):
    """A repository, and what moves its jobs on behind its back."""

    @property
    def repository(self) -> EmbeddingRepository:
        """Return what is tested."""
        ...

    async def submit(self, *texts: str) -> JobId:
        """Hand in an embeddings job."""
        ...

    async def claim(self, job_id: JobId) -> AttemptId:
        """Open an attempt."""
        ...

    async def lose_lease(self) -> None:
        """Give the attempts up, as the sweeper does."""
        ...


class MemoryBench:
    """The fake."""

    def __init__(self) -> None:
        self._memory = MemoryEmbeddings()
        self._attempts = 0

    @property
    def repository(self) -> EmbeddingRepository:
        return self._memory

    async def submit(self, *texts: str) -> JobId:
        pending = [PendingText(n, one, estimated_tokens(one)) for n, one in enumerate(texts)]
        self._memory.work = EmbeddingWork(pending, len(texts), None, OnFallback.WAIT)
        return self._memory.job_id

    async def claim(self, job_id: JobId) -> AttemptId:
        assert job_id == self._memory.job_id
        self._memory.status = JobStatus.RUNNING
        self._attempts += 1
        return AttemptId(f"att_{self._attempts}")

    async def lose_lease(self) -> None:
        self._memory.is_lease_lost = True


class PostgresBench:
    """The real one."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._repository = PostgresEmbeddings(engine)

    @property
    def repository(self) -> EmbeddingRepository:
        return self._repository

    async def submit(self, *texts: str) -> JobId:
        return (await submitted(self._engine, *texts)).id

    async def claim(self, job_id: JobId) -> AttemptId:
        return await claimed(self._engine, job_id)

    async def lose_lease(self) -> None:
        async with self._engine.begin() as connection:
            await connection.execute(text("UPDATE attempts SET outcome = 'unknown'"))


@pytest.fixture
async def bench(address: str) -> AsyncGenerator[Bench]:
    if not address:
        yield MemoryBench()
        return
    engine = create_engine(address)
    yield PostgresBench(engine)
    await engine.dispose()


async def test_every_text_of_a_new_job_is_pending(bench: Bench) -> None:
    job_id = await bench.submit("one", "two")
    work = await bench.repository.pending(job_id, JobKind.EMBED)
    expected = [PendingText(n, one, estimated_tokens(one)) for n, one in enumerate(("one", "two"))]
    assert [*work.texts] == expected
    assert (work.count, work.space_id, work.on_fallback) == (2, None, OnFallback.WAIT)


async def test_a_job_that_does_not_exist_has_nothing(bench: Bench) -> None:
    work = await bench.repository.pending(NOBODY, JobKind.EMBED)
    assert ([*work.texts], work.count, work.space_id) == ([], 0, None)
    assert await bench.repository.results(NOBODY) is None
    frame = failure(NOBODY, "ended", "for a test")
    assert [*await bench.repository.expire(NOBODY, frame)] == []


async def test_a_stored_text_is_pending_no_more_and_decides_the_space(bench: Bench) -> None:
    job_id = await bench.submit("one", "two")
    space = TEXT_EMBEDDING_3_SMALL
    step = settlement(job_id, await bench.claim(job_id), JobContinues())
    vectors = unit_vectors(0, space=space)
    assert (await bench.repository.settle(step, JobKind.EMBED, space, vectors)).applied
    work = await bench.repository.pending(job_id, JobKind.EMBED)
    assert [one.position for one in work.texts] == [1]
    assert (work.count, work.space_id) == (2, space.id)


async def test_results_are_the_vectors_by_position(bench: Bench) -> None:
    job_id = await bench.submit("one", "two")
    assert await bench.repository.results(job_id) is None
    step = settlement(job_id, await bench.claim(job_id), JobSucceeds("{}"))
    vectors = unit_vectors(0, 1)
    settled = await bench.repository.settle(step, JobKind.EMBED, BGE_M3, vectors)
    assert [row.message for row in settled.outbox] == [one.message for one in step.messages]
    assert settled.terminal_frame == step.terminal_frame
    stored = {one.position: one.vector for one in vectors}
    assert await bench.repository.results(job_id) == (BGE_M3, stored)


async def test_a_settlement_again_stores_nothing(bench: Bench) -> None:
    job_id = await bench.submit("one")
    step = settlement(job_id, await bench.claim(job_id), JobContinues())
    assert (await bench.repository.settle(step, JobKind.EMBED, BGE_M3, ())).applied
    again = await bench.repository.settle(step, JobKind.EMBED, BGE_M3, unit_vectors(0))
    assert (again.applied, [*again.outbox]) == (False, [])
    assert await bench.repository.results(job_id) is None


async def test_a_lost_lease_stores_nothing(bench: Bench) -> None:
    job_id = await bench.submit("one")
    step = settlement(job_id, await bench.claim(job_id), JobSucceeds("{}"))
    await bench.lose_lease()
    lost = await bench.repository.settle(step, JobKind.EMBED, BGE_M3, unit_vectors(0))
    assert not lost.applied
    assert await bench.repository.results(job_id) is None


async def test_a_vector_of_another_width_is_refused(bench: Bench) -> None:
    job_id = await bench.submit("one")
    step = settlement(job_id, await bench.claim(job_id), JobSucceeds("{}"))
    wide = unit_vectors(0, space=TEXT_EMBEDDING_3_SMALL)
    with pytest.raises(ValueError, match="1024 dimensions of bge-m3"):
        await bench.repository.settle(step, JobKind.EMBED, BGE_M3, wide)


@pytest.mark.parametrize("end", ["succeed_empty", "fail_unstarted", "expire"])
async def test_a_queued_job_ends_once(bench: Bench, end: str) -> None:
    job_id = await bench.submit("one")
    frame = failure(job_id, "ended", "for a test")

    async def ended() -> list[object]:
        match end:
            case "succeed_empty":
                rows = await bench.repository.succeed_empty(job_id, "{}", frame)
            case "fail_unstarted":
                rows = await bench.repository.fail_unstarted(job_id, ERROR, frame)
            case _:
                rows = await bench.repository.expire(job_id, frame)
        return [row.message for row in rows]

    assert [await ended(), await ended()] == [[frame], []]


async def test_a_running_job_is_not_ended_unpaid(bench: Bench) -> None:
    job_id = await bench.submit("one")
    await bench.claim(job_id)
    frame = failure(job_id, "ended", "for a test")
    assert [*await bench.repository.succeed_empty(job_id, "{}", frame)] == []
    assert [*await bench.repository.fail_unstarted(job_id, ERROR, frame)] == []
    assert [*await bench.repository.expire(job_id, frame)] == []
