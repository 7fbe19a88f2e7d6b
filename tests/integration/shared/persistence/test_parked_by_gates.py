"""Jobs that wait for a scope's gate."""

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.domain.budgets import BudgetScope
from shared.domain.catalog import Tier
from shared.domain.claims import NoRoom
from shared.domain.gates import CHAT_PAID, WORK_QUEUES, GateActor, GateState
from shared.domain.outgoing import OutboxRow
from shared.domain.work import NewJob
from shared.persistence.repositories.attempts import PostgresAttempts
from shared.persistence.repositories.jobs import PostgresJobs
from shared.persistence.repositories.releasing import PostgresParking
from shared.persistence.repositories.scope_gates import PostgresScopeGates
from shared.ports.gates import ScopeChange
from tests.support.chat_jobs import (
    SetClock,
    change,
    claim_of,
    new_chat_job,
    of_user,
    parking_of,
    submitted,
)


async def _parked(engine: AsyncEngine, job: NewJob, scope: str) -> NewJob:
    await PostgresJobs(engine).submit(job)
    await change(engine, "DELETE FROM outbox")
    await PostgresAttempts(engine).park(parking_of(job, scope))
    return job


async def _looked(engine: AsyncEngine, *, is_due: bool = True) -> list[OutboxRow]:
    if is_due:
        await change(engine, "UPDATE parking_lots SET look_at = now()")
    return [*await PostgresParking(engine, SetClock()).release()]


@pytest.mark.parametrize("state", [GateState.PAUSED, GateState.CLOSED])
async def test_a_resumed_scope_lets_its_parked_jobs_go(
    engine: AsyncEngine, state: GateState
) -> None:
    gates, scope = PostgresScopeGates(engine), BudgetScope.parse("user:user-1")

    async def move(desired: GateState) -> None:
        await gates.change(ScopeChange(scope, WORK_QUEUES, desired, "why", GateActor.PERSON, "ann"))

    await move(state)
    job = await submitted(engine)
    outcome = await PostgresAttempts(engine).claim(claim_of(job))
    assert isinstance(outcome, NoRoom)
    await _parked(engine, new_chat_job(), "user:user-1")
    assert await _looked(engine) == []
    await move(GateState.RUNNING)
    assert len(await _looked(engine, is_due=False)) == 1


async def test_parked_jobs_of_one_queue_pass_those_of_another(engine: AsyncEngine) -> None:
    gates, scope = PostgresScopeGates(engine), BudgetScope.parse("provider:cloudflare")
    await gates.change(
        ScopeChange(scope, [CHAT_PAID], GateState.PAUSED, "why", GateActor.PERSON, "ann")
    )
    await _parked(engine, new_chat_job(), "provider:cloudflare")
    free = await _parked(engine, new_chat_job(of_user("f", Tier.FREE)), "provider:cloudflare")
    (row,) = await _looked(engine)
    assert row.message == free.command
