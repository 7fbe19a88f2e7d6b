import pytest

from simulator.clock import Clock
from simulator.control import Controls
from simulator.json_values import JsonObject
from simulator.spread import read_amount


@pytest.mark.parametrize(("p50", "p99"), [(100, 2_000), (80, 20), (5, 5)])
def test_a_spread_has_its_percentiles(p50: float, p99: float) -> None:
    controls = Controls(Clock())
    controls.merge({"openai": {"tokens_per_second": {"p50": p50, "p99": p99}}})
    draws = sorted(controls.draw("openai").tokens_per_second for _ in range(20_000))
    beyond = draws[-200] if p99 >= p50 else draws[199]
    assert draws[10_000] == pytest.approx(p50, rel=0.05)
    assert beyond == pytest.approx(p99, rel=0.1)


@pytest.mark.parametrize("value", [-1, True, "5", {}, {"p50": 1}, {"p50": 0, "p99": 1}, None])
def test_anything_else_is_no_amount(value: object) -> None:
    with pytest.raises(ValueError, match="percentiles"):
        read_amount(value)


def _latencies(seed: int) -> list[float]:
    controls = Controls(Clock())
    spread: JsonObject = {"p50": 100, "p99": 1_000}
    controls.merge({"openai": {"latency_ms": spread, "tokens_per_second": spread, "seed": seed}})
    return [controls.draw("openai").latency_seconds for _ in range(20)]


def test_the_same_seed_gives_the_same_latencies() -> None:
    assert _latencies(1) == _latencies(1)
    assert len(set(_latencies(1))) == 20


def test_another_seed_gives_others() -> None:
    assert _latencies(1) != _latencies(2)
