"""Whatever is claimed, settled, lost and booked, in any order: no budget is ever overdrawn."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from itertools import count
from typing import Literal

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.domain.budgets import Budget, BudgetScope, Window
from shared.domain.claims import Claimed, ClaimRequest, NoRoom
from shared.domain.work import NewJob
from shared.persistence.engine import create_engine
from shared.persistence.repositories.attempts import PostgresAttempts
from shared.persistence.repositories.budgets import PostgresBudgets
from shared.persistence.repositories.jobs import PostgresJobs
from shared.persistence.repositories.ledger import PostgresLedger
from tests.support.chat_jobs import (
    NOW,
    SetClock,
    claim_of,
    ledger_entry,
    new_chat_job,
    of_user,
    rows,
    settlement_of,
)

_CENTS = st.decimals(min_value=0, max_value=3, places=2)
_NUMBERS = count()
Kind = Literal["claim", "end", "midnight"]


@dataclass(frozen=True)
class Step:
    """One thing that happens: a call begins, one ends at its cost, or a day is over."""

    kind: Kind
    hold_usd: Decimal
    cost_share: Decimal


@dataclass
class World:
    """The calls under way, and what the steps have done."""

    engine: AsyncEngine
    user: str
    clock: SetClock = field(default_factory=SetClock)
    open: list[tuple[NewJob, ClaimRequest]] = field(
        default_factory=list[tuple[NewJob, ClaimRequest]]
    )

    def __post_init__(self) -> None:
        self.attempts = PostgresAttempts(self.engine)
        self.ledger = PostgresLedger(self.engine, self.clock)

    async def take(self, step: Step) -> None:
        match step.kind:
            case "claim":
                await self._claim(step)
            case "end":
                await self._end(step)
            case "midnight":
                self.clock.time = Window.DAY.end(self.clock.time)

    async def _claim(self, step: Step) -> None:
        job = new_chat_job(of_user(self.user))
        await PostgresJobs(self.engine).submit(job)
        request = claim_of(job, hold_usd=step.hold_usd, now=self.clock.now())
        outcome = await self.attempts.claim(request)
        assert isinstance(outcome, Claimed | NoRoom)
        if isinstance(outcome, Claimed):
            self.open.append((job, request))

    async def _end(self, step: Step) -> None:
        if not self.open:
            return
        job, request = self.open.pop(0)
        cost = request.hold_usd * step.cost_share
        await self.attempts.settle(settlement_of(job, request, cost_usd=cost))
        entry = ledger_entry(job, request, cost_usd=cost, occurred_at=self.clock.now())
        await self.ledger.book([replace(entry, hold_usd=request.hold_usd)])


_STEPS = st.lists(
    st.builds(
        Step,
        st.sampled_from(("claim", "claim", "end", "midnight")),
        _CENTS,
        st.decimals(min_value=0, max_value=1, places=3),
    ),
    max_size=14,
)


@given(_CENTS, _CENTS, _STEPS, _STEPS)
@settings(
    max_examples=20,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_no_interleaving_overdraws_a_day_or_a_month(
    database_url: str, day: Decimal, month: Decimal, first: list[Step], second: list[Step]
) -> None:
    asyncio.run(_check(database_url, day, month, (first, second)))


async def _check(
    database_url: str, day: Decimal, month: Decimal, steps: Sequence[Sequence[Step]]
) -> None:
    user = f"spender-{next(_NUMBERS)}"
    scope = BudgetScope.parse(f"user:{user}")
    engines = [create_engine(database_url, 2) for _ in steps]
    try:
        budgets = PostgresBudgets(engines[0], SetClock())
        await budgets.put(Budget(scope, Window.DAY, day), "test")
        await budgets.put(Budget(scope, Window.MONTH, month), "test")
        worlds = [World(engine, user) for engine in engines]

        async def run(world: World, own: Sequence[Step]) -> None:
            for step in own:
                await world.take(step)
                overdrawn = await rows(
                    world.engine,
                    "SELECT * FROM budgets WHERE scope = :scope "
                    "AND spent_usd + held_usd > limit_usd",
                    scope=str(scope),
                )
                assert overdrawn == []

        await asyncio.gather(*(run(*one) for one in zip(worlds, steps, strict=True)))
        held = sum((r.hold_usd for w in worlds for _, r in w.open), Decimal(0))
        states = await budgets.of_scope(scope)
        assert {one.held_usd for one in states} == {held}
        spent = await rows(
            engines[0],
            "SELECT coalesce(sum(cost_usd), 0) FROM ledger_entries WHERE user_id = :user "
            "AND occurred_at >= :start AND occurred_at < :end",
            user=user,
            start=Window.MONTH.start(NOW),
            end=Window.MONTH.end(NOW),
        )
        assert all(isinstance(usd, Decimal) and usd <= month for (usd,) in spent)
    finally:
        await asyncio.gather(*(engine.dispose() for engine in engines))
