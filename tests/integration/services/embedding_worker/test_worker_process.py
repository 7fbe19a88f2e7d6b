"""The embedding worker as a process, on a real broker and database, before the simulator."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable
from decimal import Decimal
from pathlib import Path

import aio_pika
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.domain.catalog import CLOUDFLARE, OPENAI
from shared.domain.embedding_space import BGE_M3, TEXT_EMBEDDING_3_SMALL
from shared.domain.ids import AttemptId
from shared.domain.jobs import JobStatus
from shared.domain.outgoing import OutgoingMessage
from shared.domain.provider_calls import EmbeddingCall
from shared.messaging.declaration import declare
from shared.messaging.publisher import ConfirmedPublisher
from shared.persistence.engine import create_engine
from shared.persistence.repositories.collections import PostgresCollections
from shared.persistence.repositories.embeddings import PostgresEmbeddings
from shared.persistence.repositories.jobs import PostgresJobs
from shared.persistence.repositories.rollouts import PostgresRollouts
from shared.persistence.repositories.vectors import PostgresVectors
from shared.ports.rollouts import RolloutChange
from tests.support.embedding_jobs import USER, Table, ingested, new_collection, submitted
from tests.support.local_providers import SimulatorClient, providers_at, simulator_in
from tests.support.waiting import wait_until

Publish = Callable[[OutgoingMessage], Awaitable[None]]
_ROOT = Path(__file__).parents[4]


@pytest.fixture
async def simulator(tmp_path: Path) -> AsyncGenerator[SimulatorClient]:
    async with simulator_in(tmp_path) as running:
        yield running


@pytest.fixture
async def engine(database_url: str) -> AsyncGenerator[AsyncEngine]:
    engine = create_engine(database_url)
    yield engine
    await engine.dispose()


@pytest.fixture
async def worker(
    engine: AsyncEngine, amqp_url: str, management_url: str, simulator: SimulatorClient
) -> AsyncGenerator[asyncio.subprocess.Process]:
    """Start a worker, and see that it ends well when it is told to."""
    await declare(amqp_url, management_url)
    environment = {
        "PATH": os.defpath,
        "PYTHONPATH": str(_ROOT),
        "DATABASE_URL": engine.url.set(drivername="postgresql").render_as_string(
            hide_password=False
        ),
        "RABBITMQ_URL": amqp_url,
        "CLOUDFLARE_ACCOUNT_ID": "account",
        "CLOUDFLARE_API_TOKEN": "token",
        "CLOUDFLARE_AI_GATEWAY_URL": f"{simulator.url}/client/v4",
        "OPENAI_API_KEY": "key",
        "OPENAI_BASE_URL": f"{simulator.url}/v1",
        "SLUICEWAY_HTTP_PORT": "0",
        "SLUICEWAY_DRAIN_SECONDS": "20",
        "SLUICEWAY_PROCESS_NAME": "embedding-1",
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services.embedding_worker.main", cwd=_ROOT, env=environment
    )
    await wait_until(lambda: _consumes(engine), 30)
    yield process
    process.send_signal(signal.SIGTERM)
    assert await asyncio.wait_for(process.wait(), 30) == 0


@pytest.fixture
async def publish(amqp_url: str) -> AsyncGenerator[Publish]:
    async with await aio_pika.connect_robust(amqp_url) as connection:
        publisher = await ConfirmedPublisher.open(connection)
        yield publisher.publish


async def _consumes(engine: AsyncEngine) -> bool:
    return await Table(engine).count("queue_actual", "actual = 'running'") == 2


@pytest.mark.integration
@pytest.mark.usefixtures("worker")
async def test_documents_are_embedded_found_and_paid_exactly_once(
    engine: AsyncEngine, publish: Publish, simulator: SimulatorClient
) -> None:
    collection = new_collection()
    slices = [
        {f"doc-{part}-{number}": f"sluice gate number {part} {number}" for number in range(40)}
        for part in range(3)
    ]
    ingestion = await ingested(engine, collection, *slices)
    for one in [*ingestion.slices, *ingestion.slices]:  # every command arrives twice
        await publish(one.job.command)
    table = Table(engine)
    await wait_until(lambda: _is_embedded(table, 120), 30)
    view = await PostgresCollections(engine).ingestion(ingestion.id, USER)
    assert view is not None
    assert view.cost_usd == await _billed(simulator)
    query = await _embedded(simulator, "sluice gate number 1 7")
    matches = await PostgresVectors(engine).search(collection.id, BGE_M3, query, 3)
    assert matches[0].document_id == "doc-1-7"
    assert await table.count("jobs", "status = 'succeeded'") == 3


@pytest.mark.integration
@pytest.mark.usefixtures("worker")
async def test_a_job_falls_back_into_the_other_providers_space(
    engine: AsyncEngine, publish: Publish, simulator: SimulatorClient
) -> None:
    await simulator.misbehave("cloudflare", mode="no_capacity")
    job = await submitted(engine, "one", "two")
    await publish(job.command)
    await wait_until(lambda: _is_done(engine), 30)
    view = await PostgresJobs(engine).get(job.id, USER)
    assert view is not None
    assert (view.status, view.is_fallback) == (JobStatus.SUCCEEDED, True)
    assert [attempt.provider for attempt in view.attempts] == [
        CLOUDFLARE,
        OPENAI,
    ]
    results = await PostgresEmbeddings(engine).results(job.id)
    assert results is not None
    space, vectors = results
    assert (space, len(vectors)) == (TEXT_EMBEDDING_3_SMALL, 2)


@pytest.mark.integration
@pytest.mark.usefixtures("worker")
async def test_a_moved_rollout_is_followed_without_a_restart_or_a_hint(
    engine: AsyncEngine, publish: Publish
) -> None:
    async def arm_of_the_next_job() -> str | None:
        job = await submitted(engine, "one")
        await publish(job.command)

        async def is_done() -> bool:
            done = f"id = '{job.id}' AND finished_at IS NOT NULL"
            return await Table(engine).count("jobs", done) == 1

        await wait_until(is_done, 30)
        view = await PostgresJobs(engine).get(job.id, USER)
        return None if view is None else view.attempts[0].arm

    async def is_outside() -> bool:
        return await arm_of_the_next_job() == "cloudflare:outside"

    assert await arm_of_the_next_job() == "cloudflare:inside"
    await PostgresRollouts(engine).change(RolloutChange("cloudflare", Decimal(0), "ann"))
    await wait_until(is_outside, 3)


async def _is_embedded(table: Table, chunks: int) -> bool:
    return await table.count("vectors") == chunks


async def _is_done(engine: AsyncEngine) -> bool:
    return await Table(engine).count("jobs", "finished_at IS NOT NULL") == 1


async def _billed(simulator: SimulatorClient) -> Decimal:
    answer = await simulator.http.get(f"{simulator.url}/_bill")
    return Decimal(answer.json()["total_usd"])


async def _embedded(simulator: SimulatorClient, text: str) -> bytes:
    providers = providers_at(simulator.url)
    call = EmbeddingCall(AttemptId("att_query"), BGE_M3.model, [text], BGE_M3.dimensions)
    try:
        return (await providers.embedding[CLOUDFLARE].embed(call)).vectors[0]
    finally:
        await providers.aclose()
