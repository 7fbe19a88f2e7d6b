from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest

from shared.domain.budgets import (
    DEFAULT_GLOBAL_BUDGET,
    GLOBAL_SCOPE,
    Budget,
    BudgetScope,
    ScopeKind,
    Threshold,
    ThresholdAction,
    Window,
    crossed,
    diverted_queues,
    gates_wanted,
    hedge_scope,
    scopes_of,
    strictest_gates,
)
from shared.domain.catalog import OPENAI, Tier
from shared.domain.gates import (
    CHAT_FREE,
    CHAT_PAID,
    CHAT_PREMIUM,
    EMBED_BULK,
    WORK_QUEUES,
    GateState,
)
from shared.domain.ids import KeyId, QueueName, UserId

ALL_RUNNING = dict.fromkeys(WORK_QUEUES, GateState.RUNNING)


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("global", ScopeKind.GLOBAL, ""),
        ("tier:free", ScopeKind.TIER, "free"),
        ("user:a:b", ScopeKind.USER, "a:b"),
        ("key:k1", ScopeKind.KEY, "k1"),
        ("provider:openai", ScopeKind.PROVIDER, "openai"),
        ("hedge:premium", ScopeKind.HEDGE, "premium"),
    ],
)
def test_a_scope_is_read_and_written_the_same_way(text: str, kind: ScopeKind, value: str) -> None:
    scope = BudgetScope.parse(text)

    assert scope == BudgetScope(kind, value)
    assert str(scope) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "everything",
        "global:",
        "global:x",
        "user",
        "user:",
        "tier:gold",
        "provider:AWS",
        "hedge:gold",
    ],
)
def test_what_is_no_scope_is_refused_by_name(text: str) -> None:
    with pytest.raises(ValueError, match=f"budget scope '{text}'"):
        BudgetScope.parse(text)


def test_one_call_counts_towards_five_scopes() -> None:
    scopes = scopes_of(Tier.FREE, UserId("u"), KeyId("k"), OPENAI)

    assert [str(scope) for scope in scopes] == [
        "global",
        "tier:free",
        "user:u",
        "key:k",
        "provider:openai",
    ]


def test_second_calls_count_towards_their_tiers_cap() -> None:
    assert str(hedge_scope(Tier.PREMIUM)) == "hedge:premium"


def test_a_day_begins_and_ends_at_midnight_utc() -> None:
    at = datetime(2026, 3, 1, 1, tzinfo=timezone(timedelta(hours=2)))

    assert Window.DAY.start(at) == datetime(2026, 2, 28, tzinfo=UTC)
    assert Window.DAY.end(at) == datetime(2026, 3, 1, tzinfo=UTC)


@pytest.mark.parametrize(("month", "end"), [(12, (2027, 1)), (1, (2026, 2)), (2, (2026, 3))])
def test_a_month_ends_where_the_next_begins(month: int, end: tuple[int, int]) -> None:
    at = datetime(2026, month, 28, 23, 59, tzinfo=UTC)

    assert Window.MONTH.start(at) == datetime(2026, month, 1, tzinfo=UTC)
    assert Window.MONTH.end(at) == datetime(*end, 1, tzinfo=UTC)


def test_slowing_to_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="give a concurrency of 1 or more"):
        Threshold(Decimal(1), ThresholdAction.SLOW, concurrency=0)


def test_the_default_budget_alerts_then_pauses_bulk_then_all_but_premium() -> None:
    assert gates_wanted(DEFAULT_GLOBAL_BUDGET, Decimal("299.99")) == ALL_RUNNING
    assert gates_wanted(DEFAULT_GLOBAL_BUDGET, Decimal(300)) == ALL_RUNNING | {
        EMBED_BULK: GateState.PAUSED
    }
    assert gates_wanted(DEFAULT_GLOBAL_BUDGET, Decimal(500)) == dict.fromkeys(
        WORK_QUEUES, GateState.PAUSED
    ) | {CHAT_PREMIUM: GateState.RUNNING}


def test_a_threshold_fires_when_spending_reaches_it() -> None:
    assert crossed(DEFAULT_GLOBAL_BUDGET, Decimal("99.999999"), ()) == ()
    assert [t.key for t in crossed(DEFAULT_GLOBAL_BUDGET, Decimal(100), ())] == ["100:alert"]


def test_a_leap_over_several_thresholds_fires_them_in_order_and_mildest_first() -> None:
    budget = Budget(
        GLOBAL_SCOPE,
        Window.DAY,
        thresholds=(
            Threshold(Decimal(2), ThresholdAction.CLOSE),
            Threshold(Decimal("1.0"), ThresholdAction.PAUSE),
            Threshold(Decimal(1), ThresholdAction.ALERT),
        ),
    )

    fired = crossed(budget, Decimal(5), ())

    assert [t.key for t in fired] == ["1:alert", "1:pause", "2:close"]


def test_a_threshold_that_fired_does_not_fire_again() -> None:
    fired = crossed(DEFAULT_GLOBAL_BUDGET, Decimal(600), {"100:alert", "300:pause"})

    assert [t.key for t in fired] == ["500:pause"]


def test_a_threshold_set_below_what_is_spent_fires() -> None:
    lowered = Budget(
        GLOBAL_SCOPE,
        Window.DAY,
        thresholds=(Threshold(Decimal(50), ThresholdAction.PAUSE),),
    )

    assert crossed(lowered, Decimal(120), {"100:alert"}) == lowered.thresholds


def test_the_strictest_of_several_wishes_wins() -> None:
    assert strictest_gates(
        [
            {CHAT_FREE: GateState.CLOSED, CHAT_PAID: GateState.SLOWED},
            {CHAT_FREE: GateState.PAUSED},
            {CHAT_PAID: GateState.RUNNING},
        ]
    ) == ALL_RUNNING | {CHAT_FREE: GateState.CLOSED, CHAT_PAID: GateState.SLOWED}


def test_slowing_wants_a_slowed_gate() -> None:
    slow = Threshold(Decimal(1), ThresholdAction.SLOW, (CHAT_FREE,))
    budget = Budget(GLOBAL_SCOPE, Window.DAY, thresholds=(slow,))

    assert gates_wanted(budget, Decimal(1))[CHAT_FREE] is GateState.SLOWED


def test_diverting_leaves_the_gate_open() -> None:
    divert = Threshold(Decimal(1), ThresholdAction.DIVERT, (CHAT_PAID,))
    alert = Threshold(Decimal(1), ThresholdAction.ALERT)
    budget = Budget(GLOBAL_SCOPE, Window.DAY, thresholds=(divert, alert))

    assert gates_wanted(budget, Decimal(1)) == ALL_RUNNING
    assert diverted_queues(budget, Decimal(1)) == {CHAT_PAID}
    assert diverted_queues(budget, Decimal("0.99")) == frozenset()


@pytest.mark.parametrize("amount", ["-0.01", "NaN"])
def test_amounts_are_zero_or_more(amount: str) -> None:
    with pytest.raises(ValueError, match="0 or more"):
        Threshold(Decimal(amount), ThresholdAction.ALERT)
    with pytest.raises(ValueError, match="0 USD or more"):
        Budget(GLOBAL_SCOPE, Window.DAY, limit_usd=Decimal(amount))


def test_a_threshold_touches_only_queues_with_a_gate() -> None:
    with pytest.raises(ValueError, match=r"no gate for dead\.chat"):
        Threshold(Decimal(1), ThresholdAction.PAUSE, (QueueName("dead.chat"),))


def test_two_thresholds_of_one_amount_and_action_are_refused() -> None:
    pair = (
        Threshold(Decimal(1), ThresholdAction.PAUSE, (CHAT_FREE,)),
        Threshold(Decimal("1.0"), ThresholdAction.PAUSE, (CHAT_PAID,)),
    )

    with pytest.raises(ValueError, match="join their queues"):
        Budget(GLOBAL_SCOPE, Window.DAY, limit_usd=Decimal(0), thresholds=pair)
