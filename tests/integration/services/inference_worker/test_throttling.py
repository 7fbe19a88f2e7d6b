"""From the ledger entry that crosses a threshold to the calls that start no more, on real parts."""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.domain.budgets import (
    GLOBAL_SCOPE,
    Budget,
    BudgetScope,
    Threshold,
    ThresholdAction,
    Window,
)
from shared.domain.catalog import Provider
from shared.domain.gates import CHAT_PAID, WORK_QUEUES, GateActor, GateState
from shared.domain.ids import JobId
from shared.domain.provider_calls import ChatCall, ChatEvent
from shared.messaging.rounds import Rounds
from shared.persistence.repositories.budgets import PostgresBudgets
from shared.persistence.repositories.gates import PostgresGates
from shared.persistence.repositories.scope_gates import PostgresScopeGates
from shared.ports.gates import ScopeChange
from shared.ports.providers import ChatModel
from shared.providers.registry import Providers
from shared.system import SystemClock
from tests.support.chat_jobs import CALLER, new_chat_job, of_user, rows
from tests.support.chat_pipeline import Pipeline, pipeline
from tests.support.local_providers import SimulatorClient
from tests.support.proxy import Proxy
from tests.support.waiting import wait_until

pytestmark = pytest.mark.integration

_SLACK_SECONDS = 0.5
"""What a busy machine may add to the 100 ms that `python -m benchmarks gates` measures."""


@dataclass
class Calls:
    """When calls began, and how many ran at a time."""

    began: list[datetime] = field(default_factory=list[datetime])
    running: int = 0
    most: int = 0


@dataclass(frozen=True)
class WatchedModel:
    """Implements `ChatModel`: the real one, watched."""

    model: ChatModel
    calls: Calls

    async def stream(self, call: ChatCall) -> AsyncIterator[ChatEvent]:
        self.calls.began.append(SystemClock().now())
        self.calls.running += 1
        self.calls.most = max(self.calls.most, self.calls.running)
        try:
            async for event in self.model.stream(call):
                yield event
        finally:
            self.calls.running -= 1


@pytest.fixture
def calls() -> Calls:
    return Calls()


@pytest.fixture
def models(providers: Providers, calls: Calls) -> Mapping[Provider, ChatModel]:
    return {name: WatchedModel(model, calls) for name, model in providers.chat.items()}


@pytest.fixture
async def watched(
    engine: AsyncEngine,
    proxy: Proxy,
    simulator: SimulatorClient,
    models: Mapping[Provider, ChatModel],
) -> AsyncGenerator[Pipeline]:
    async with pipeline(engine, proxy.url, simulator, models) as running:
        yield running


class LostHints:
    """Implements `ControlHint`: no hint arrives."""

    async def send(self) -> None:
        """Lose it."""


def _budgets(running: Pipeline) -> PostgresBudgets:
    return PostgresBudgets(running.engine, SystemClock())


async def _pause_soon(running: Pipeline) -> None:
    """Let the next entry of the ledger cross a threshold."""
    state = await _budgets(running).get(GLOBAL_SCOPE)
    spent = Decimal(0) if state is None else state.spent_usd
    at_usd = spent + Decimal("0.000000001")
    pause = Threshold(at_usd, ThresholdAction.PAUSE, (CHAT_PAID,))
    await _budgets(running).put(Budget(GLOBAL_SCOPE, Window.DAY, None, (pause,)), "test")


async def _paused_at(running: Pipeline) -> datetime:
    """Return when the transaction began that shut the gate, once it has."""

    async def is_paused() -> bool:
        gates = await PostgresGates(running.engine).desired([CHAT_PAID])
        return gates[CHAT_PAID].desired is GateState.PAUSED

    await wait_until(is_paused, 20)
    ((changed_at,),) = await rows(
        running.engine, "SELECT changed_at FROM queue_control WHERE queue = 'chat.paid'"
    )
    assert isinstance(changed_at, datetime)
    return changed_at.astimezone(UTC)


async def _has_paused(running: Pipeline) -> None:
    async def is_reported() -> bool:
        found = await rows(
            running.engine,
            "SELECT 1 FROM queue_actual WHERE queue = 'chat.paid' AND actual = 'paused'",
        )
        return bool(found)

    await wait_until(is_reported, 20)


async def _seconds_to_stop(running: Pipeline, calls: Calls) -> float:
    """Cross a threshold under load; return how long calls went on starting."""
    await _pause_soon(running)
    jobs = [await running.submit(new_chat_job(prompt=f"Say {n}")) for n in range(30)]
    shut_at = await _paused_at(running)
    await _has_paused(running)
    last = max(calls.began)
    await _budgets(running).put(Budget(GLOBAL_SCOPE, Window.DAY), "test")
    await running.ended(*jobs)
    return (last - shut_at).total_seconds()


async def test_calls_stop_as_soon_as_a_threshold_is_crossed(
    watched: Pipeline, calls: Calls
) -> None:
    await watched.simulator.misbehave("cloudflare", latency_ms=30)
    waits = [await _seconds_to_stop(watched, calls) for _ in range(3)]
    assert max(waits) < _SLACK_SECONDS, waits


async def test_a_lost_hint_costs_less_than_three_seconds(
    engine: AsyncEngine,
    proxy: Proxy,
    simulator: SimulatorClient,
    models: Mapping[Provider, ChatModel],
    calls: Calls,
) -> None:
    await simulator.misbehave("cloudflare", latency_ms=100)
    async with pipeline(engine, proxy.url, simulator, models, hint=LostHints()) as running:
        await _pause_soon(running)
        jobs = [await running.submit(new_chat_job(prompt=f"Say {n}")) for n in range(300)]
        shut_at = await _paused_at(running)
        await _has_paused(running)
        assert (max(calls.began) - shut_at).total_seconds() < 3
        assert len(calls.began) < len(jobs)


async def test_one_users_threshold_parks_that_users_jobs_and_a_raise_frees_them(
    watched: Pipeline,
) -> None:
    scope = BudgetScope.parse(f"user:{CALLER.user_id}")
    pause = Threshold(Decimal("0.000000001"), ThresholdAction.PAUSE)
    budgets = _budgets(watched)
    await budgets.put(Budget(scope, Window.DAY, None, (pause,)), "test")
    await watched.ended(await watched.submit(new_chat_job()))
    mine = [await watched.submit(new_chat_job(prompt=f"Say {n}")) for n in range(5)]
    await wait_until(lambda: _are_parked(watched, 5))
    others = await watched.submit(new_chat_job(of_user("user-2")))
    await wait_until(lambda: _has_succeeded(watched, others))
    assert await rows(
        watched.engine,
        "SELECT DISTINCT waiting_reason, waiting_detail FROM jobs WHERE status = 'queued'",
    ) == [("budget", f"day budget {scope}")]
    await budgets.put(Budget(scope, Window.DAY), "test")
    async with _releasing(watched):
        await watched.ended(*mine)


async def test_a_hard_limit_parks_and_each_booking_lets_the_next_one_go(
    watched: Pipeline,
) -> None:
    """All jobs fit into the limit by what they cost, but not at once by what they may cost."""
    first = await watched.submit(new_chat_job())
    (view,) = await watched.ended(first)
    ((hold,),) = await rows(watched.engine, "SELECT hold_usd FROM attempts")
    assert isinstance(hold, Decimal)
    scope = BudgetScope.parse(f"user:{CALLER.user_id}")
    limit = view.cost_usd * 9 + hold
    await _budgets(watched).put(Budget(scope, Window.DAY, limit), "test")
    jobs = [await watched.submit(new_chat_job()) for _ in range(8)]
    async with _releasing(watched):
        await watched.ended(*jobs)
    assert await rows(watched.engine, "SELECT * FROM parked_commands") == []


async def test_a_slowed_user_has_only_so_many_calls_at_a_time(
    watched: Pipeline, calls: Calls
) -> None:
    await watched.simulator.misbehave("cloudflare", latency_ms=50)
    scope = BudgetScope.parse(f"user:{CALLER.user_id}")
    await PostgresScopeGates(watched.engine).change(
        ScopeChange(
            scope, WORK_QUEUES, GateState.SLOWED, "slow", GateActor.PERSON, "ann", concurrency=2
        )
    )
    jobs = [await watched.submit(new_chat_job(prompt=f"Say {n}")) for n in range(10)]
    async with _releasing(watched):
        await watched.ended(*jobs)
    assert calls.most == 2


@asynccontextmanager
async def _releasing(running: Pipeline) -> AsyncGenerator[None]:
    rounds = Rounds("release", timedelta(seconds=0.1), running.release)
    rounds.start()
    try:
        yield
    finally:
        await rounds.drain()


async def _are_parked(running: Pipeline, number: int) -> bool:
    found = await rows(running.engine, "SELECT job_id FROM parked_commands")
    return len(found) == number


async def _has_succeeded(running: Pipeline, job_id: JobId) -> bool:
    found = await rows(running.engine, "SELECT status FROM jobs WHERE id = :id", id=job_id)
    return found == [("succeeded",)]
