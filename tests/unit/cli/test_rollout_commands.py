"""`sluiceway rollouts` against the API."""

import asyncio
from dataclasses import replace
from decimal import Decimal

import pytest

from shared.ports.reports import NO_USAGE_ROW
from shared.ports.rollouts import RolloutChange
from tests.support.shell import Shell


@pytest.fixture
def begun(shell: Shell) -> Shell:
    first = RolloutChange("cloudflare", Decimal(10), "setting", "at first")
    asyncio.run(shell.bench.rollouts.begin(first))
    return shell


def test_rollouts_are_listed(begun: Shell) -> None:
    header, row = begun.lines("rollouts")
    assert header[:3] == ["name", "percent", "generation"]
    assert row[:3] == ["cloudflare", "10.0", "1"]
    assert begun.json("rollouts") == {
        "data": [
            {
                "name": "cloudflare",
                "percent": 10,
                "generation": 1,
                "changed_at": "2026-11-23T12:00:00Z",
                "changed_by": "setting",
                "reason": "at first",
            }
        ]
    }


def test_a_rollout_is_set_with_a_reason(begun: Shell) -> None:
    printed = begun.lines("rollouts", "set", "cloudflare", "12.5", "--reason", "all is well")
    assert ["percent", "12.5"] in printed
    moved = begun.bench.rollouts.rollouts["cloudflare"]
    assert (moved.percent, moved.changed_by, moved.reason) == (
        Decimal("12.5"),
        "admin",
        "all is well",
    )
    assert begun.bench.hint.sent == 1


def test_a_rollout_is_set_as_json(begun: Shell) -> None:
    moved = begun.json("rollouts", "set", "cloudflare", "50")
    assert isinstance(moved, dict)
    assert (moved["percent"], moved["generation"]) == (50, 2)


def test_a_rollout_is_shown_with_both_days_of_both_arms(begun: Shell) -> None:
    begun.bench.reports.rows = [
        replace(
            NO_USAGE_ROW,
            keys={"day": "2026-11-23", "arm": "cloudflare:inside"},
            requests=4,
            cost_usd=Decimal("0.002"),
            fallbacks=1,
            p50_ms=120,
            p95_ms=900,
        )
    ]
    printed = begun.lines("rollouts", "show", "cloudflare")
    assert ["percent", "10.0"] in printed
    rows = [line for line in printed if line[0].startswith("cloudflare:")]
    assert rows == [
        ["cloudflare:inside", "2026-11-23", "4", "0.25", "0.0", "0.5", "120", "900"],
        ["cloudflare:inside", "2026-11-22", "0", "-", "-", "-", "-", "-"],
        ["cloudflare:outside", "2026-11-23", "0", "-", "-", "-", "-", "-"],
        ["cloudflare:outside", "2026-11-22", "0", "-", "-", "-", "-", "-"],
    ]
    shown = begun.json("rollouts", "show", "cloudflare")
    assert isinstance(shown, dict)
    assert shown.keys() >= {"percent", "arms"}


@pytest.mark.parametrize("percent", ["101", "12.345", "many"])
def test_a_wrong_percentage_is_one_line(begun: Shell, percent: str) -> None:
    line = begun.refusal("rollouts", "set", "cloudflare", percent)
    assert line.startswith("sluiceway: ")
    assert "percent" in line
    assert begun.bench.rollouts.rollouts["cloudflare"].percent == Decimal(10)


def test_an_unknown_rollout_is_one_line(begun: Shell) -> None:
    for words in (("show", "planet"), ("set", "planet", "5")):
        assert "there is no rollout 'planet'" in begun.refusal("rollouts", *words)


def test_usage_is_grouped_by_arm(begun: Shell) -> None:
    keys = {"arm": "cloudflare:inside", "tier": "free"}
    begun.bench.reports.rows = [replace(NO_USAGE_ROW, keys=keys, requests=3)]
    header, row = begun.lines("usage", "--group-by", "arm,tier")
    assert (header[:3], row[:3]) == (
        ["arm", "tier", "requests"],
        ["cloudflare:inside", "free", "3"],
    )
