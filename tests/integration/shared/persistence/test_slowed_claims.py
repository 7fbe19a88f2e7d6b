"""A slowed queue or scope keeps its cap over all workers."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import replace

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.domain.budgets import BudgetScope
from shared.domain.claims import Claimed, ClaimRequest, NoRoom, Unclaimable
from shared.domain.gates import CHAT_PAID, CHAT_PREMIUM, WORK_QUEUES, GateActor, GateState
from shared.domain.work import NewJob
from shared.persistence.engine import create_engine
from shared.persistence.repositories.attempts import PostgresAttempts
from shared.persistence.repositories.gates import PostgresGates
from shared.persistence.repositories.jobs import PostgresJobs
from shared.persistence.repositories.scope_gates import PostgresScopeGates
from shared.ports.gates import GateChange, ScopeChange
from tests.support.chat_jobs import (
    change,
    claim_of,
    new_chat_job,
    of_user,
    rows,
    settlement_of,
    submitted,
)

_USER = "user:user-1"


async def _slow(engine: AsyncEngine, concurrency: int, scope: str = _USER) -> None:
    await PostgresScopeGates(engine).change(
        ScopeChange(
            BudgetScope.parse(scope),
            WORK_QUEUES,
            GateState.SLOWED,
            "by hand",
            GateActor.PERSON,
            "ann",
            concurrency=concurrency,
        )
    )


async def _slow_queue(engine: AsyncEngine, concurrency: int) -> None:
    change = GateChange(
        CHAT_PAID, GateState.SLOWED, "by hand", GateActor.PERSON, "ann", concurrency=concurrency
    )
    await PostgresGates(engine).change(change)


async def _claim(engine: AsyncEngine, job: NewJob) -> object:
    return await PostgresAttempts(engine).claim(claim_of(job))


@pytest.fixture
async def engines(database_url: str) -> AsyncGenerator[list[AsyncEngine]]:
    """Eight workers' connections."""
    engines = [create_engine(database_url, pool_size=3) for _ in range(8)]
    yield engines
    await asyncio.gather(*(engine.dispose() for engine in engines))


@pytest.mark.parametrize("scope", [_USER, "tier:paid", "provider:cloudflare"])
async def test_a_slowed_scope_keeps_its_cap_across_workers(
    engines: list[AsyncEngine], scope: str
) -> None:
    engine = engines[0]
    await _slow(engine, 3, scope)
    jobs = [new_chat_job() for _ in range(64)]
    await asyncio.gather(*(PostgresJobs(engine).submit(job) for job in jobs))
    requests = [claim_of(job, f"worker-{n % 8}") for n, job in enumerate(jobs)]
    workers = [PostgresAttempts(one) for one in engines]
    running = "SELECT count(*) FROM attempts WHERE outcome = 'running'"

    async def run(number: int, request: ClaimRequest) -> bool:
        outcome = await workers[number % 8].claim(request)
        if isinstance(outcome, NoRoom):
            assert outcome.scope == scope
            return False
        ((most,),) = await rows(engines[number % 8], running)
        assert isinstance(most, int)
        assert most <= 3
        await workers[number % 8].settle(settlement_of(jobs[number], request))
        return True

    started = await asyncio.gather(*(run(n, request) for n, request in enumerate(requests)))
    assert sum(started) >= 3


async def test_a_slowed_queue_keeps_its_cap_across_workers(engines: list[AsyncEngine]) -> None:
    engine = engines[0]
    await _slow_queue(engine, 3)
    jobs = [new_chat_job() for _ in range(64)]
    await asyncio.gather(*(PostgresJobs(engine).submit(job) for job in jobs))
    requests = [claim_of(job, f"worker-{n % 8}") for n, job in enumerate(jobs)]
    workers = [PostgresAttempts(one) for one in engines]

    async def run(number: int, request: ClaimRequest) -> bool:
        outcome = await workers[number % 8].claim(request)
        if not isinstance(outcome, Claimed):
            assert outcome is Unclaimable.GATE_SHUT
            return False
        assert await PostgresGates(engines[number % 8]).calls_under_way(CHAT_PAID) <= 3
        await workers[number % 8].settle(settlement_of(jobs[number], request))
        return True

    started = await asyncio.gather(*(run(n, request) for n, request in enumerate(requests)))
    assert sum(started) >= 3


async def test_a_slowed_queue_slows_no_other(engine: AsyncEngine) -> None:
    await _slow_queue(engine, 1)
    mine = [await submitted(engine) for _ in range(2)]
    assert isinstance(await _claim(engine, mine[0]), Claimed)
    assert await _claim(engine, mine[1]) is Unclaimable.GATE_SHUT
    other = await submitted(engine, replace(new_chat_job(), queue=CHAT_PREMIUM))
    assert isinstance(await _claim(engine, other), Claimed)


async def test_a_slowed_scope_in_a_slowed_queue_obeys_both(engine: AsyncEngine) -> None:
    await _slow_queue(engine, 2)
    await _slow(engine, 1)
    mine = [await submitted(engine) for _ in range(2)]
    others = [await submitted(engine, new_chat_job(of_user("user-2"))) for _ in range(2)]
    assert isinstance(await _claim(engine, mine[0]), Claimed)
    assert isinstance(await _claim(engine, mine[1]), NoRoom)
    assert isinstance(await _claim(engine, others[0]), Claimed)
    assert await _claim(engine, others[1]) is Unclaimable.GATE_SHUT


async def test_a_slowed_scope_slows_nobody_else(engine: AsyncEngine) -> None:
    await _slow(engine, 1)
    mine = [await submitted(engine) for _ in range(2)]
    outcomes = [await _claim(engine, job) for job in mine]
    assert [type(one) for one in outcomes] == [Claimed, NoRoom]
    other = await submitted(engine, new_chat_job(of_user("user-2")))
    assert isinstance(await _claim(engine, other), Claimed)


async def test_a_call_of_a_dead_worker_keeps_its_place_until_it_is_charged(
    engine: AsyncEngine,
) -> None:
    await _slow(engine, 1)
    first, second = await submitted(engine), await submitted(engine)
    assert isinstance(await _claim(engine, first), Claimed)
    assert isinstance(await _claim(engine, second), NoRoom)
    await change(engine, "UPDATE attempts SET outcome = 'unknown'")
    assert isinstance(await _claim(engine, second), Claimed)
