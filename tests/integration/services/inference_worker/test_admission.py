"""Two workers that share what they know of their providers, before the simulator."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.admission.opening import Limits, SharedState, open_admission
from shared.domain.catalog import CLOUDFLARE, OPENAI
from shared.domain.jobs import AttemptOutcome, JobStatus, WaitingReason
from shared.domain.rate_limits import RateLimit
from shared.domain.routes import Candidate
from shared.observability.metrics import Metrics
from shared.persistence.repositories.circuits import PostgresCircuits
from shared.persistence.repositories.rate_turns import PostgresRateTurns
from shared.ports.admission import HeldUp
from shared.providers.registry import Providers
from shared.system import SystemClock
from tests.support.chat_jobs import USER, change, new_chat_job, rows
from tests.support.chat_pipeline import Pipeline, Routing, pipeline
from tests.support.fakes_of_circuits import CountingHint
from tests.support.local_providers import SimulatorClient
from tests.support.proxy import Proxy
from tests.support.waiting import wait_until

LLAMA = Candidate(CLOUDFLARE, "@cf/meta/llama-3.1-8b-instruct-fast")
NO_TIME = timedelta(0)
A_SECOND = 1.0


async def _is_known_to_others(engine: AsyncEngine) -> bool:
    state = SharedState(PostgresCircuits(engine), PostgresRateTurns(engine))
    other = await open_admission(state, Limits((), {}), CountingHint(), SystemClock(), Metrics())
    return isinstance(await other.admit(LLAMA, 1, NO_TIME), HeldUp)


async def test_what_one_worker_found_out_another_passes_over(
    running: Pipeline, proxy: Proxy, providers: Providers
) -> None:
    async with pipeline(running.engine, proxy.url, running.simulator, providers.chat) as second:
        await running.simulator.misbehave("cloudflare", mode="unauthorized")
        first = await running.submit(new_chat_job())
        await running.ended(first)
        await wait_until(lambda: _lets_alone(running), A_SECOND)
        await wait_until(lambda: _lets_alone(second), A_SECOND)
        jobs = [await running.submit(new_chat_job(prompt=f"Say {n}")) for n in range(10)]
        views = await running.ended(*jobs)
    for view in views:
        skipped, answered = view.attempts
        assert (skipped.outcome, skipped.provider) == (AttemptOutcome.SKIPPED, CLOUDFLARE)
        assert skipped.error is not None
        assert skipped.error.code == "10000"
        assert skipped.id is None
        assert skipped.cost_usd == 0
        assert (answered.outcome, answered.provider) == (AttemptOutcome.SUCCEEDED, OPENAI)
        assert view.is_fallback


async def test_a_restarted_worker_knows_what_was_open(running: Pipeline) -> None:
    await running.simulator.misbehave("cloudflare", mode="quota")
    await running.ended(await running.submit(new_chat_job()))
    assert await _is_known_to_others(running.engine)


async def test_a_job_that_nobody_may_answer_waits_and_says_until_when(running: Pipeline) -> None:
    await running.simulator.misbehave("cloudflare", mode="quota")
    await running.simulator.misbehave("openai", mode="quota")
    first = await running.submit(new_chat_job())
    await wait_until(lambda: _waits(running, first), 20)
    second = await running.submit(new_chat_job())
    await wait_until(lambda: _waits(running, second), 20)
    view = await running.jobs.get(second, USER)
    assert view is not None
    assert view.waiting is not None
    assert view.waiting.reason is WaitingReason.PROVIDER_COOLDOWN
    assert view.waiting.until is not None
    assert "is let alone" in view.waiting.detail
    assert view.attempts == []
    failures = await rows(running.engine, "SELECT DISTINCT failure_count FROM jobs")
    assert failures == [(0,)]
    for provider in ("cloudflare", "openai"):
        await running.simulator.misbehave(provider, mode="ok")
    await _forget(running)
    await running.ended(first, second)


async def test_a_model_that_is_gone_is_followed_by_its_successor(running: Pipeline) -> None:
    await running.simulator.http.put(
        f"{running.simulator.url}/_control",
        json={"cloudflare": {"models": {LLAMA.model: {"mode": "retired"}}}},
    )
    (first,) = await running.ended(await running.submit(new_chat_job()))
    assert [a.outcome for a in first.attempts] == [AttemptOutcome.FAILED, AttemptOutcome.SUCCEEDED]
    (later,) = await running.ended(await running.submit(new_chat_job()))
    for view in (first, later):
        assert (view.provider, view.model) == (CLOUDFLARE, "@cf/google/gemma-4-26b-a4b-it")
        assert not view.is_fallback
    assert len(later.attempts) == 1


async def test_a_rate_limit_lets_jobs_wait_and_burns_no_attempt(
    engine: AsyncEngine, proxy: Proxy, simulator: SimulatorClient, providers: Providers
) -> None:
    limit = RateLimit(provider=CLOUDFLARE, model=LLAMA.model, requests_per_minute=600)
    await simulator.misbehave("cloudflare", requests_per_minute=600)
    async with _limited(engine, proxy, simulator, providers, limit) as running:
        jobs = [await running.submit(new_chat_job(prompt=f"Say {n}")) for n in range(60)]
        views = await running.ended(*jobs)
    assert {view.provider for view in views} == {CLOUDFLARE}
    assert {len(view.attempts) for view in views} == {1}
    assert {view.status for view in views} == {JobStatus.SUCCEEDED}
    began = sorted(view.attempts[0].started_at for view in views)
    assert timedelta(seconds=4) < began[-1] - began[0] < timedelta(seconds=9)


@asynccontextmanager
async def _limited(
    engine: AsyncEngine,
    proxy: Proxy,
    simulator: SimulatorClient,
    providers: Providers,
    limit: RateLimit,
) -> AsyncGenerator[Pipeline]:
    await change(engine, "DELETE FROM rate_turns")
    routing = Routing(limits=[limit])
    async with pipeline(engine, proxy.url, simulator, providers.chat, routing) as running:
        yield running


async def _lets_alone(worker: Pipeline) -> bool:
    return isinstance(await worker.admission.admit(LLAMA, 1, NO_TIME), HeldUp)


async def _waits(running: Pipeline, job_id: str) -> bool:
    found = await rows(running.engine, "SELECT waiting_reason FROM jobs WHERE id = :id", id=job_id)
    return found == [("provider_cooldown",)]


async def _forget(running: Pipeline) -> None:
    """Do what `POST /v1/admin/providers/{provider}/reset` does."""
    for provider in (CLOUDFLARE, OPENAI):
        await PostgresCircuits(running.engine).reset(provider, "key_test")
    await running.hint.send()


@pytest.fixture(autouse=True)
async def _no_circuits(engine: AsyncEngine) -> AsyncGenerator[None]:
    yield
    await change(engine, "DELETE FROM provider_circuits")
