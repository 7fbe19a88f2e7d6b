"""Money stays below its limits, whatever runs side by side."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from decimal import Decimal

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.domain.budgets import Budget, BudgetScope, Window
from shared.domain.work import Claimed, NewJob
from shared.persistence.engine import create_engine
from shared.persistence.repositories.attempts import PostgresAttempts
from shared.persistence.repositories.budgets import PostgresBudgets
from shared.persistence.repositories.jobs import PostgresJobs
from shared.persistence.repositories.ledger import PostgresLedger
from tests.support.chat_jobs import (
    COST,
    HOLD,
    SetClock,
    claim_of,
    ledger_entry,
    new_chat_job,
    of_user,
    rows,
    settlement_of,
)

_WORKERS = 8
_JOBS_EACH = 32
_GLOBAL_LIMIT = HOLD * 40
_USER_LIMIT = HOLD * 7 + COST
_OVER = "SELECT scope FROM budgets WHERE spent_usd + held_usd > limit_usd"


@dataclass
class Worker:
    """Claims, settles and books the way the services do, from a process of its own."""

    name: str
    engine: AsyncEngine
    claimed: int = 0
    overdrawn: list[object] = field(default_factory=list[object])

    def __post_init__(self) -> None:
        self._attempts = PostgresAttempts(self.engine)
        self._ledger = PostgresLedger(self.engine, SetClock())

    async def run(self, job: NewJob) -> None:
        request = claim_of(job, self.name)
        if not isinstance(await self._attempts.claim(request), Claimed):
            return
        self.claimed += 1
        self.overdrawn += await rows(self.engine, _OVER)
        assert (await self._attempts.settle(settlement_of(job, request))).applied
        await self._ledger.book([ledger_entry(job, request)])


@pytest.fixture
async def workers(database_url: str) -> AsyncGenerator[list[Worker]]:
    engines = [create_engine(database_url, pool_size=3) for _ in range(_WORKERS)]
    yield [Worker(f"worker-{n}", engine) for n, engine in enumerate(engines)]
    await asyncio.gather(*(engine.dispose() for engine in engines))


async def test_spent_and_held_never_pass_a_limit(workers: list[Worker]) -> None:
    engine = workers[0].engine
    budgets = PostgresBudgets(engine, SetClock())
    for scope, limit in (("global", _GLOBAL_LIMIT), ("user:user-0", _USER_LIMIT)):
        await budgets.put(Budget(BudgetScope.parse(scope), Window.DAY, limit), "test")
    users = [of_user(f"user-{n}") for n in range(4)]
    jobs = [new_chat_job(users[n % 4]) for n in range(_WORKERS * _JOBS_EACH)]
    submit = PostgresJobs(engine).submit
    await asyncio.gather(*(submit(job) for job in jobs))

    await asyncio.gather(
        *(worker.run(job) for n, worker in enumerate(workers) for job in jobs[n::_WORKERS])
    )

    assert [worker.overdrawn for worker in workers] == [[]] * _WORKERS
    booked = sum(worker.claimed for worker in workers)
    assert 40 <= booked <= _GLOBAL_LIMIT / COST
    state = {str(one.budget.scope): one for one in await budgets.all()}
    assert state["global"].held_usd == state["user:user-0"].held_usd == Decimal(0)
    assert state["global"].spent_usd == booked * COST
    of_one = await rows(
        engine, "SELECT coalesce(sum(cost_usd), 0) FROM ledger_entries WHERE user_id = 'user-0'"
    )
    assert of_one == [(state["user:user-0"].spent_usd,)]
