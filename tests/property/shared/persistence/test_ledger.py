"""Events may come in any order, any number of times, in any batches, through any replica."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import count

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.domain.budgets import Budget, BudgetScope, Threshold, ThresholdAction, Window
from shared.domain.ledger import LedgerEntry
from shared.persistence.engine import create_engine
from shared.persistence.repositories.budgets import PostgresBudgets
from shared.persistence.repositories.ledger import PostgresLedger
from shared.persistence.repositories.reports import PostgresReports
from tests.support.chat_jobs import SetClock, ledger_entry, new_chat_job, of_user, rows

_COSTS = st.decimals(min_value=0, max_value=2, places=12, allow_nan=False)
_NUMBERS = count()


@dataclass(frozen=True)
class Deliveries:
    """What happened, and the batches in which each replica was told."""

    costs: Sequence[Decimal]
    batches_by_replica: Sequence[Sequence[Sequence[int]]]


@st.composite
def deliveries(draw: st.DrawFn) -> Deliveries:
    """Tell two replicas everything at least once between them, some of it more often."""
    costs = draw(st.lists(_COSTS, min_size=1, max_size=12))
    everything = list(range(len(costs)))
    repeated = draw(st.lists(st.sampled_from(everything), max_size=12))
    order = draw(st.permutations(everything + repeated))
    size = draw(st.integers(1, 5))
    batches = [order[start : start + size] for start in range(0, len(order), size)]
    split = draw(st.integers(0, len(batches)))
    return Deliveries(costs, [batches[:split], batches[split:]])


@given(deliveries())
@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_any_order_and_repetition_gives_the_same_sums(database_url: str, told: Deliveries) -> None:
    asyncio.run(_check(database_url, told))


async def _check(database_url: str, told: Deliveries) -> None:
    caller = of_user(f"user-{next(_NUMBERS)}")
    job = new_chat_job(caller)
    entries = [replace(ledger_entry(job), cost_usd=cost) for cost in told.costs]
    scope = BudgetScope.parse(f"user:{caller.user_id}")
    alert = Threshold(Decimal(1), ThresholdAction.ALERT)
    first, second = create_engine(database_url, 2), create_engine(database_url, 2)
    try:
        budgets = PostgresBudgets(first, SetClock())
        await budgets.put(Budget(scope, Window.DAY, None, (alert,)), "test")
        replicas = [PostgresLedger(engine, SetClock()) for engine in (first, second)]
        booked = await asyncio.gather(
            *(
                replica.book([entries[n] for n in batch])
                for replica, batches in zip(replicas, told.batches_by_replica, strict=True)
                for batch in batches
            )
        )
        total = sum(told.costs, Decimal(0))
        state = await budgets.get(scope)
        assert state is not None
        assert state.spent_usd == total
        assert sum(one.entries for one in booked) == len(entries)
        alerts = [text for one in booked for text in one.alerts if str(scope) in text]
        assert len(alerts) == (total >= 1)
        await _check_sums(first, caller.user_id, entries, total)
    finally:
        await asyncio.gather(first.dispose(), second.dispose())


async def _check_sums(
    engine: AsyncEngine, user_id: str, entries: Sequence[LedgerEntry], total: Decimal
) -> None:
    usage = await PostgresReports(engine).usage(["user"], None, None)
    (row,) = (one for one in usage if one.keys["user"] == user_id)
    assert (row.requests, row.cost_usd) == (len(entries), total)
    assert row.input_tokens == sum(entry.usage.input_tokens for entry in entries)
    lines = await rows(
        engine, "SELECT id, cost_usd FROM ledger_entries WHERE user_id = :user", user=user_id
    )
    assert sorted(lines) == sorted((entry.id, entry.cost_usd) for entry in entries)
