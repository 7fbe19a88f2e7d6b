"""Jobs of a paid user with two attempts side by side, in a real database."""

from dataclasses import replace
from decimal import Decimal

from sqlalchemy.ext.asyncio import AsyncEngine

from shared.domain.budgets import hedge_scope
from shared.domain.catalog import Tier
from shared.domain.claims import ClaimRequest
from shared.domain.jobs import AttemptOutcome
from shared.domain.views import HEDGE_LOST, ErrorView, JobView, StreamState
from shared.domain.work import AttemptResult, JobContinues, NewJob, Settlement
from shared.persistence.repositories.budgets import PostgresBudgets
from shared.persistence.repositories.hedge_caps import PostgresHedgeCaps
from shared.persistence.repositories.jobs import PostgresJobs
from shared.ports.money import BudgetState
from tests.support.chat_jobs import (
    CALLER,
    COST,
    SetClock,
    claim_of,
    claimed,
    hedge_of,
    settlement_of,
    submitted,
)

HEDGES = hedge_scope(Tier.PAID)


async def cap(engine: AsyncEngine, cap_usd: Decimal = Decimal(1)) -> None:
    await PostgresHedgeCaps(engine, SetClock()).keep({Tier.PAID: cap_usd})


async def cap_state(engine: AsyncEngine) -> BudgetState:
    (state,) = await PostgresBudgets(engine, SetClock()).of_scope(HEDGES)
    return state


async def first_attempt(engine: AsyncEngine) -> tuple[NewJob, ClaimRequest]:
    job = await submitted(engine)
    request = claim_of(job)
    await claimed(engine, request)
    return job, request


async def both_attempts(
    engine: AsyncEngine, cap_usd: Decimal = Decimal(1)
) -> tuple[NewJob, ClaimRequest, ClaimRequest]:
    """Open two attempts of a job."""
    await cap(engine, cap_usd)
    job, first = await first_attempt(engine)
    second = hedge_of(first)
    await claimed(engine, second)
    return job, first, second


def lost(job: NewJob, request: ClaimRequest, cost_usd: Decimal = COST) -> Settlement:
    error = ErrorView(HEDGE_LOST, "another candidate answered first")
    settlement = settlement_of(job, request, JobContinues(), cost_usd=cost_usd)
    result = AttemptResult(AttemptOutcome.FAILED, cost_usd=cost_usd, error=error)
    return replace(settlement, result=result, failures=0)


async def view_of(engine: AsyncEngine, job: NewJob) -> JobView:
    view = await PostgresJobs(engine).get(job.id, CALLER.user_id)
    assert view is not None
    return view


async def stream_of(engine: AsyncEngine, job: NewJob) -> StreamState:
    state = await PostgresJobs(engine).stream_state(job.id, CALLER.user_id)
    assert state is not None
    return state
