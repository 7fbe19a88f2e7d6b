"""What second calls may cost a day holds over all workers, whatever they do side by side."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.domain.budgets import Window, hedge_scope
from shared.domain.catalog import Tier
from shared.domain.claims import Claimed
from shared.domain.work import JobContinues, NewJob
from shared.persistence.engine import create_engine
from shared.persistence.repositories.attempts import PostgresAttempts
from shared.persistence.repositories.budgets import PostgresBudgets
from shared.persistence.repositories.hedge_caps import PostgresHedgeCaps
from shared.persistence.repositories.jobs import PostgresJobs
from shared.persistence.repositories.ledger import PostgresLedger
from tests.support.chat_jobs import (
    COST,
    HOLD,
    NOW,
    SetClock,
    claim_of,
    hedge_of,
    ledger_entry,
    new_chat_job,
    of_user,
    rows,
    settlement_of,
)
from tests.support.waiting import wait_until

_WORKERS = 6
_JOBS_EACH = 24
_CAP = HOLD * 12
_OVER = "SELECT scope FROM budgets WHERE spent_usd + held_usd > limit_usd"


@dataclass
class Worker:
    """Hedges every job that it may, and books both attempts, from a process of its own."""

    name: str
    engine: AsyncEngine
    clock: SetClock = field(default_factory=SetClock)
    jobs: int = 0
    hedges: int = 0
    overdrawn: list[object] = field(default_factory=list[object])

    def __post_init__(self) -> None:
        self._attempts = PostgresAttempts(self.engine)
        self._ledger = PostgresLedger(self.engine, self.clock)

    async def run(self, job: NewJob) -> None:
        first = claim_of(job, self.name, now=self.clock.now())
        assert isinstance(await self._attempts.claim(first), Claimed)
        second = replace(hedge_of(first), now=self.clock.now())
        is_hedged = isinstance(await self._attempts.claim(second), Claimed)
        if is_hedged:
            self.hedges += 1
            self.overdrawn += await rows(self.engine, _OVER)
            lost = settlement_of(job, second, JobContinues())
            assert (await self._attempts.settle(lost)).applied
        assert (await self._attempts.settle(settlement_of(job, first))).applied
        now = self.clock.now()
        booked = [first, second] if is_hedged else [first]
        await self._ledger.book([ledger_entry(job, one, occurred_at=now) for one in booked])
        self.overdrawn += await rows(self.engine, _OVER)
        self.jobs += 1


@pytest.fixture
async def workers(database_url: str) -> AsyncGenerator[list[Worker]]:
    engines = [create_engine(database_url, pool_size=3) for _ in range(_WORKERS)]
    await PostgresHedgeCaps(engines[0], SetClock()).keep({Tier.PAID: _CAP})
    yield [Worker(f"worker-{n}", engine) for n, engine in enumerate(engines)]
    await asyncio.gather(*(engine.dispose() for engine in engines))


async def _submitted(engine: AsyncEngine) -> list[NewJob]:
    jobs = [new_chat_job(of_user(f"user-{n % 4}")) for n in range(_WORKERS * _JOBS_EACH)]
    await asyncio.gather(*(PostgresJobs(engine).submit(job) for job in jobs))
    return jobs


async def _run_all(workers: list[Worker], jobs: list[NewJob]) -> None:
    await asyncio.gather(
        *(worker.run(job) for n, worker in enumerate(workers) for job in jobs[n::_WORKERS])
    )


async def test_spent_and_held_by_hedges_never_pass_the_cap(workers: list[Worker]) -> None:
    engine = workers[0].engine
    await _run_all(workers, await _submitted(engine))
    assert [worker.overdrawn for worker in workers] == [[]] * _WORKERS
    assert sum(worker.jobs for worker in workers) == _WORKERS * _JOBS_EACH
    hedges = sum(worker.hedges for worker in workers)
    assert 12 <= hedges <= _CAP / COST
    (state,) = await PostgresBudgets(engine, SetClock()).of_scope(hedge_scope(Tier.PAID))
    assert (state.spent_usd, state.held_usd) == (hedges * COST, Decimal(0))
    assert await rows(engine, "SELECT count(*) FROM attempts WHERE is_hedge") == [(hedges,)]


async def test_the_cap_holds_while_a_day_ends(workers: list[Worker]) -> None:
    """Calls claimed before midnight are booked after it, in the order that chance gives."""
    engine = workers[0].engine
    midnight = Window.DAY.end(NOW)
    for worker in workers:
        worker.clock.time = midnight - timedelta(seconds=1)
    running = asyncio.create_task(_run_all(workers, await _submitted(engine)))
    await wait_until(lambda: sum(worker.jobs for worker in workers) > _WORKERS)
    for worker in workers:
        worker.clock.time = midnight
    await running
    assert [worker.overdrawn for worker in workers] == [[]] * _WORKERS
    by_day = await rows(
        engine,
        "SELECT CAST(l.occurred_at AT TIME ZONE 'UTC' AS date) AS day, sum(l.cost_usd) "
        "FROM ledger_entries l JOIN attempts a USING (id) WHERE a.is_hedge GROUP BY 1",
    )
    assert by_day
    assert all(isinstance(usd, Decimal) and usd <= _CAP for _, usd in by_day)
