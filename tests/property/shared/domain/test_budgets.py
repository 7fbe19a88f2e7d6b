from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from shared.domain.budgets import (
    GLOBAL_SCOPE,
    Budget,
    Threshold,
    ThresholdAction,
    Window,
    crossed,
    gates_wanted,
    strictest_gates,
)
from shared.domain.gates import WORK_QUEUES, GateState
from shared.domain.ids import QueueName

AMOUNTS = st.decimals(min_value=0, max_value=50, places=3)
QUEUES = st.lists(st.sampled_from(WORK_QUEUES), unique=True).map(tuple)
THRESHOLDS = st.builds(Threshold, AMOUNTS, st.sampled_from(ThresholdAction), QUEUES)
BUDGETS = st.lists(THRESHOLDS, max_size=8, unique_by=lambda t: t.key).map(
    lambda thresholds: Budget(GLOBAL_SCOPE, Window.DAY, thresholds=tuple(thresholds))
)
ADDITIONS = st.lists(AMOUNTS, max_size=20)
STRICTNESS = list(GateState)


@given(BUDGETS, ADDITIONS)
def test_each_threshold_reached_fires_once_and_in_order(
    budget: Budget, additions: list[Decimal]
) -> None:
    spent = Decimal(0)
    fired: list[Threshold] = []
    for amount in additions:
        spent += amount
        fired.extend(crossed(budget, spent, {threshold.key for threshold in fired}))

    reached = {t.key for t in budget.thresholds if additions and t.at_usd <= spent}
    assert sorted(t.key for t in fired) == sorted(reached)
    assert [t.at_usd for t in fired] == sorted(t.at_usd for t in fired)


@given(BUDGETS, st.lists(AMOUNTS, min_size=1, max_size=20))
def test_what_fires_in_steps_is_what_fires_in_one_leap(
    budget: Budget, additions: list[Decimal]
) -> None:
    spent = Decimal(0)
    stepwise: set[str] = set()
    for amount in additions:
        spent += amount
        stepwise |= {threshold.key for threshold in crossed(budget, spent, stepwise)}

    assert stepwise == {threshold.key for threshold in crossed(budget, spent, ())}


@given(BUDGETS, AMOUNTS, AMOUNTS)
def test_spending_more_never_opens_a_gate(budget: Budget, first: Decimal, second: Decimal) -> None:
    low, high = sorted((first, second))
    before, after = gates_wanted(budget, low), gates_wanted(budget, high)

    for queue in WORK_QUEUES:
        assert STRICTNESS.index(before[queue]) <= STRICTNESS.index(after[queue])


@given(BUDGETS)
def test_a_new_window_opens_every_gate_that_waits_for_money(budget: Budget) -> None:
    costly = [t for t in budget.thresholds if t.at_usd > 0]
    fresh = Budget(GLOBAL_SCOPE, Window.DAY, thresholds=tuple(costly))

    assert set(gates_wanted(fresh, Decimal(0)).values()) == {GateState.RUNNING}


@given(st.lists(st.dictionaries(st.sampled_from(WORK_QUEUES), st.sampled_from(GateState))))
def test_joining_wishes_does_not_depend_on_their_order(
    wanted: list[dict[QueueName, GateState]],
) -> None:
    assert strictest_gates(wanted) == strictest_gates(reversed(wanted))
