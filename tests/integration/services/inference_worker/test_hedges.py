"""A slow provider and the second one beside it, by real parts before the simulator."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.domain.budgets import hedge_scope
from shared.domain.catalog import CLOUDFLARE, OPENAI, Operation, Tier
from shared.domain.jobs import AttemptOutcome, JobStatus
from shared.domain.routes import Hedge
from shared.domain.views import JobView
from shared.persistence.repositories.budgets import PostgresBudgets
from shared.persistence.repositories.reconciliation import PostgresReconciliation
from shared.ports.money import BudgetState
from shared.providers.registry import Providers
from shared.system import SystemClock
from tests.support.chat_jobs import USER, new_chat_job, of_user, rows
from tests.support.chat_pipeline import Pipeline, Routing, pipeline
from tests.support.local_providers import SimulatorClient
from tests.support.proxy import Proxy
from tests.support.waiting import wait_until

pytestmark = pytest.mark.integration

_PREMIUM = of_user(USER, Tier.PREMIUM)
_DEAR = Decimal(5)


def _hedged(cap_usd: Decimal, after: timedelta = timedelta(milliseconds=100)) -> Routing:
    key = (Tier.PREMIUM, Operation.CHAT)
    shipped = Routing().table
    route = replace(shipped.routes[key], hedge=Hedge(after, cap_usd))
    return Routing(table=replace(shipped, routes={**shipped.routes, key: route}))


@pytest.fixture
async def hedging(
    engine: AsyncEngine, proxy: Proxy, simulator: SimulatorClient, providers: Providers
) -> AsyncGenerator[Pipeline]:
    async with _hedging(engine, proxy, simulator, providers, _DEAR) as running:
        yield running


@asynccontextmanager
async def _hedging(
    engine: AsyncEngine,
    proxy: Proxy,
    simulator: SimulatorClient,
    providers: Providers,
    cap_usd: Decimal,
) -> AsyncGenerator[Pipeline]:
    async with pipeline(engine, proxy.url, simulator, providers.chat, _hedged(cap_usd)) as running:
        yield running


async def _answered(running: Pipeline, prompt: str = "Say hello") -> JobView:
    (view,) = await running.ended(await running.submit(new_chat_job(_PREMIUM, prompt=prompt)))
    return view


async def _cap(running: Pipeline) -> BudgetState:
    (state,) = await PostgresBudgets(running.engine, SystemClock()).of_scope(
        hedge_scope(Tier.PREMIUM)
    )
    return state


async def _ledger_is_the_bill(running: Pipeline) -> None:
    assert await running.ledger_usd() == await running.billed_usd()
    found = await PostgresReconciliation(running.engine, SystemClock()).compare()
    assert found.drift_usd == found.holds_without_attempts_usd == 0
    assert await rows(running.engine, "SELECT scope FROM budgets WHERE held_usd <> 0") == []


async def test_a_slow_provider_is_beaten_by_the_one_beside_it(hedging: Pipeline) -> None:
    await hedging.simulator.misbehave("cloudflare", latency_ms=10_000)
    began = asyncio.get_running_loop().time()
    view = await _answered(hedging)
    assert asyncio.get_running_loop().time() - began < 8
    assert (view.provider, view.is_fallback) == (OPENAI, True)
    lost, won = view.attempts
    assert (lost.provider, lost.outcome, lost.is_hedge) == (
        CLOUDFLARE,
        AttemptOutcome.FAILED,
        False,
    )
    assert lost.error is not None
    assert lost.error.code == "hedge_lost"
    assert (won.provider, won.outcome, won.is_hedge) == (OPENAI, AttemptOutcome.SUCCEEDED, True)
    assert (lost.cost_usd, won.cost_usd) == (Decimal(0), view.cost_usd)
    state = await _cap(hedging)
    assert (state.spent_usd, state.held_usd) == (won.cost_usd, Decimal(0))
    usage = await rows(hedging.engine, "SELECT sum(fallbacks), sum(errors) FROM usage_rollups")
    assert usage == [(1, 0)]
    await _ledger_is_the_bill(hedging)


async def test_a_provider_that_is_slow_but_first_keeps_its_job(hedging: Pipeline) -> None:
    await hedging.simulator.misbehave("cloudflare", latency_ms=400)
    await hedging.simulator.misbehave("openai", latency_ms=10_000)
    view = await _answered(hedging)
    assert (view.provider, view.is_fallback) == (CLOUDFLARE, False)
    assert [(one.provider, one.is_hedge) for one in view.attempts] == [
        (CLOUDFLARE, False),
        (OPENAI, True),
    ]
    assert (await _cap(hedging)).spent_usd == 0
    usage = await rows(hedging.engine, "SELECT sum(fallbacks), sum(errors) FROM usage_rollups")
    assert usage == [(0, 0)]
    await _ledger_is_the_bill(hedging)


async def test_a_provider_that_falls_silent_does_not_hold_up_the_job(hedging: Pipeline) -> None:
    await hedging.simulator.misbehave("cloudflare", mode="silent")
    view = await _answered(hedging)
    assert view.provider == OPENAI
    await _ledger_is_the_bill(hedging)


async def test_a_provider_in_time_is_alone(hedging: Pipeline) -> None:
    view = await _answered(hedging)
    assert [one.provider for one in view.attempts] == [CLOUDFLARE]


async def test_other_tiers_wait(hedging: Pipeline) -> None:
    await hedging.simulator.misbehave("cloudflare", latency_ms=400)
    (view,) = await hedging.ended(await hedging.submit(new_chat_job()))
    assert [one.provider for one in view.attempts] == [CLOUDFLARE]


async def test_when_both_are_down_nothing_is_lost(hedging: Pipeline) -> None:
    await hedging.simulator.misbehave("cloudflare", latency_ms=400, mode="error_in_stream")
    await hedging.simulator.misbehave("openai", latency_ms=200, mode="error")
    job = await hedging.submit(new_chat_job(_PREMIUM))

    async def both_have_failed() -> bool:
        found = await rows(hedging.engine, "SELECT 1 FROM attempts WHERE outcome = 'failed'")
        return len(found) > 1

    await wait_until(both_have_failed)
    await hedging.simulator.http.delete(f"{hedging.simulator.url}/_control")
    (view,) = await hedging.ended(job)
    assert view.status is JobStatus.SUCCEEDED
    assert view.cost_usd == sum(one.cost_usd for one in view.attempts)
    await _ledger_is_the_bill(hedging)


async def test_without_room_under_the_cap_the_job_waits_for_the_first(
    engine: AsyncEngine, proxy: Proxy, simulator: SimulatorClient, providers: Providers
) -> None:
    cap = Decimal("0.0000001")
    async with _hedging(engine, proxy, simulator, providers, cap) as running:
        await simulator.misbehave("cloudflare", latency_ms=400)
        view = await _answered(running)
        assert [one.provider for one in view.attempts] == [CLOUDFLARE]
        assert (await _cap(running)).spent_usd == 0
        await _ledger_is_the_bill(running)


async def test_what_many_hedges_spend_stays_below_the_cap(
    engine: AsyncEngine, proxy: Proxy, simulator: SimulatorClient, providers: Providers
) -> None:
    """Room for three of the holds at a time, and for more of the costs."""
    await simulator.misbehave("cloudflare", latency_ms=600)
    async with _hedging(engine, proxy, simulator, providers, _DEAR) as running:
        view = await _answered(running)
        assert view.provider == OPENAI
        ((hold,),) = await rows(engine, "SELECT hold_usd FROM attempts WHERE is_hedge")
        assert isinstance(hold, Decimal)
    cap = view.cost_usd + hold * 3
    async with _hedging(engine, proxy, simulator, providers, cap) as running:
        jobs = [await running.submit(new_chat_job(_PREMIUM, prompt=f"Say {n}")) for n in range(30)]
        views = await running.ended(*jobs)
        hedges = [one for v in views for one in v.attempts if one.is_hedge]
        assert 3 <= len(hedges) < len(jobs)
        state = await _cap(running)
        assert view.cost_usd + sum(one.cost_usd for one in hedges) == state.spent_usd <= cap
        await _ledger_is_the_bill(running)


async def test_a_worker_that_drains_finishes_the_race(
    engine: AsyncEngine, proxy: Proxy, simulator: SimulatorClient, providers: Providers
) -> None:
    await simulator.misbehave("cloudflare", latency_ms=10_000)
    await simulator.misbehave("openai", latency_ms=700)
    async with _hedging(engine, proxy, simulator, providers, _DEAR) as running:
        job_id = await running.submit(new_chat_job(_PREMIUM))

        async def both_run() -> bool:
            found = await rows(engine, "SELECT 1 FROM attempts WHERE outcome = 'running'")
            return len(found) == 2

        await wait_until(both_run)
    view = await running.jobs.get(job_id, USER)
    assert view is not None
    assert (view.status, view.provider) == (JobStatus.SUCCEEDED, OPENAI)
    assert view.attempts[0].outcome is AttemptOutcome.FAILED
