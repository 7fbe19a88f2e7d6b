"""`sluiceway budgets` by window against the API."""

import pytest

from shared.domain.budgets import BudgetScope, Window
from tests.support.shell import Shell

_ANN = BudgetScope.parse("user:ann")


@pytest.fixture
def limited(shell: Shell) -> Shell:
    """A user with a budget by day and one by month."""
    for window, limit in (("day", "1.50"), ("month", "20")):
        shell.lines("budgets", "set", "user:ann", "--window", window, "--limit", limit)
    return shell


def _windows(shell: Shell) -> set[Window]:
    return {window for _, window in shell.bench.budgets.budgets}


def test_each_window_has_its_own_budget(limited: Shell) -> None:
    by_day = limited.json("budgets", "show", "user:ann", "--window", "day")
    by_month = limited.json("budgets", "show", "user:ann", "--window", "month")
    assert isinstance(by_day, dict)
    assert isinstance(by_month, dict)
    assert (by_day["limit_usd"], by_month["limit_usd"]) == ("1.5", "20")
    assert ["window", "month"] in limited.lines("budgets", "show", "user:ann")


def test_every_budget_is_listed(limited: Shell) -> None:
    header, *rows = limited.lines("budgets", "show")
    assert header[:3] == ["scope", "window", "limit_usd"]
    assert [row[:3] for row in rows] == [["user:ann", "day", "1.5"], ["user:ann", "month", "20"]]


def test_one_window_is_deleted_alone(limited: Shell) -> None:
    limited.lines("budgets", "delete", "user:ann", "--window", "day")
    assert _windows(limited) == {Window.MONTH}
    assert "user:ann" in limited.refusal("budgets", "show", "user:ann", "--window", "day")


def test_without_a_window_all_are_deleted(limited: Shell) -> None:
    limited.lines("budgets", "delete", "user:ann")
    assert _windows(limited) == set()


def test_a_budget_is_set_by_day_with_thresholds_and_a_reason(shell: Shell) -> None:
    shell.lines(
        "budgets", "set", "user:ann", "--limit", "5", "--reason", "why",
        "--threshold", "3:alert", "--threshold", "4:pause:chat.free,embed.bulk",
    )  # fmt: skip
    budget = shell.bench.budgets.budgets[_ANN, Window.DAY]
    assert [(f"{t.at_usd}", t.action) for t in budget.thresholds] == [
        ("3", "alert"),
        ("4", "pause"),
    ]
    assert shell.bench.budgets.reasons == ["why"]


def test_a_wrong_window_is_one_line(limited: Shell) -> None:
    for words in (
        ("show", "user:ann", "--window", "week"),
        ("set", "user:ann", "--window", "week", "--limit", "1"),
        ("delete", "user:ann", "--window", "week"),
    ):
        assert "window" in limited.refusal("budgets", *words)
    assert _windows(limited) == {Window.DAY, Window.MONTH}


def test_a_wrong_threshold_is_told_before_anything_is_sent(shell: Shell) -> None:
    result = shell.run("budgets", "set", "user:ann", "--threshold", "soon:alert")
    assert result.exit_code == 2
    assert shell.bench.budgets.budgets == {}
