"""Money stays below its limits, whatever runs side by side."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.domain.budgets import Budget, BudgetScope, Window
from shared.domain.claims import Claimed
from shared.domain.work import NewJob
from shared.persistence.engine import create_engine
from shared.persistence.repositories.attempts import PostgresAttempts
from shared.persistence.repositories.budgets import PostgresBudgets
from shared.persistence.repositories.jobs import PostgresJobs
from shared.persistence.repositories.ledger import PostgresLedger
from tests.support.chat_jobs import (
    COST,
    HOLD,
    NOW,
    SetClock,
    claim_of,
    ledger_entry,
    new_chat_job,
    of_user,
    rows,
    settlement_of,
)
from tests.support.waiting import wait_until

_WORKERS = 8
_JOBS_EACH = 32
_GLOBAL_LIMIT = HOLD * 40
_USER_LIMIT = HOLD * 7 + COST
_MONTH_LIMIT = HOLD * 35
_OVER = "SELECT scope FROM budgets WHERE spent_usd + held_usd > limit_usd"


@dataclass
class Worker:
    """Claims, settles and books the way the services do, from a process of its own."""

    name: str
    engine: AsyncEngine
    clock: SetClock = field(default_factory=SetClock)
    claimed: int = 0
    overdrawn: list[object] = field(default_factory=list[object])

    def __post_init__(self) -> None:
        self._attempts = PostgresAttempts(self.engine)
        self._ledger = PostgresLedger(self.engine, self.clock)

    async def run(self, job: NewJob) -> None:
        request = claim_of(job, self.name, now=self.clock.now())
        if not isinstance(await self._attempts.claim(request), Claimed):
            return
        self.claimed += 1
        self.overdrawn += await rows(self.engine, _OVER)
        assert (await self._attempts.settle(settlement_of(job, request))).applied
        entry = ledger_entry(job, request, occurred_at=self.clock.now())
        await self._ledger.book([entry])
        self.overdrawn += await rows(self.engine, _OVER)


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
    await _run_all(workers, await _submitted(engine))

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


async def test_a_day_and_a_month_hold_side_by_side(workers: list[Worker]) -> None:
    engine = workers[0].engine
    budgets, scope = PostgresBudgets(engine, SetClock()), BudgetScope.parse("global")
    await budgets.put(Budget(scope, Window.DAY, _GLOBAL_LIMIT), "test")
    await budgets.put(Budget(scope, Window.MONTH, _MONTH_LIMIT), "test")
    jobs = await _submitted(engine)
    await _run_all(workers, jobs)
    assert [worker.overdrawn for worker in workers] == [[]] * _WORKERS
    states = await budgets.of_scope(scope)
    assert {one.held_usd for one in states} == {Decimal(0)}
    assert {one.spent_usd for one in states} == {sum(one.claimed for one in workers) * COST}
    assert all(one.spent_usd <= _MONTH_LIMIT for one in states)


async def test_no_limit_is_passed_while_a_window_ends(workers: list[Worker]) -> None:
    """Calls claimed before midnight end after it, in the order that chance gives."""
    engine = workers[0].engine
    budgets, scope = PostgresBudgets(engine, SetClock()), BudgetScope.parse("global")
    midnight = Window.DAY.end(NOW)
    for worker in workers:
        worker.clock.time = midnight - timedelta(seconds=1)
    await budgets.put(Budget(scope, Window.DAY, _GLOBAL_LIMIT), "test")
    jobs = await _submitted(engine)
    running = asyncio.create_task(_run_all(workers, jobs))
    await wait_until(lambda: sum(worker.claimed for worker in workers) > _WORKERS)
    for worker in workers:
        worker.clock.time = midnight
    await running
    assert [worker.overdrawn for worker in workers] == [[]] * _WORKERS
    by_day = await rows(
        engine,
        "SELECT CAST(occurred_at AT TIME ZONE 'UTC' AS date) AS day, sum(cost_usd) "
        "FROM ledger_entries GROUP BY day ORDER BY day",
    )
    assert all(isinstance(usd, Decimal) and usd <= _GLOBAL_LIMIT for _, usd in by_day)
    (state,) = await PostgresBudgets(engine, workers[0].clock).of_scope(scope)
    assert state.held_usd == 0
    assert [usd for day, usd in by_day if day == midnight.date()] == [state.spent_usd]


async def _submitted(engine: AsyncEngine) -> list[NewJob]:
    jobs = [new_chat_job(of_user(f"user-{n % 4}")) for n in range(_WORKERS * _JOBS_EACH)]
    submit = PostgresJobs(engine).submit
    await asyncio.gather(*(submit(job) for job in jobs))
    return jobs


async def _run_all(workers: list[Worker], jobs: list[NewJob]) -> None:
    await asyncio.gather(
        *(worker.run(job) for n, worker in enumerate(workers) for job in jobs[n::_WORKERS])
    )
