import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.behaviour import InvalidControlError, Mode
from simulator.clock import Clock
from simulator.control import Controls
from simulator.json_values import JsonObject


@given(st.integers(0, 100))
def test_a_share_is_exact(percent: int) -> None:
    controls = Controls(Clock())
    controls.merge({"cloudflare": {"mode": "down", "probability": percent / 100}})
    modes = [controls.draw("cloudflare").mode for _ in range(100)]
    assert modes.count(Mode.DOWN) == percent


def test_a_fault_strikes_only_its_provider() -> None:
    controls = Controls(Clock())
    controls.merge({"cloudflare": {"mode": "down"}})
    assert controls.draw("openai").mode is Mode.OK


@pytest.mark.parametrize(
    "changes",
    [
        None,
        {"azure": {}},
        {"openai": []},
        {"openai": {"unknown": 1}},
        {"openai": {"mode": "tired"}},
        {"openai": {"probability": 1.1}},
        {"openai": {"latency_ms": -1}},
        {"openai": {"latency_ms": True}},
        {"openai": {"tokens_per_second": "fast"}},
        {"openai": {"after_chunks": 1.5}},
        {"openai": {"mode": "down", "probability": 2}},
        {"openai": {"free_neurons_per_day": 1}},
        {"cloudflare": {"free_neurons_per_day": -1}},
        {"cloudflare": {"free_neurons_per_day": "all"}},
        {"openai": {"mode": "down"}, "clock": "noon"},
        {"openai": {"mode": "down"}, "clock": 1},
    ],
)
def test_an_invalid_value_changes_nothing(changes: JsonObject | None) -> None:
    controls = Controls(Clock())
    before = controls.to_json()
    with pytest.raises(InvalidControlError):
        controls.merge(changes)
    assert controls.to_json() == before


def test_the_clock_runs_on_from_the_moment_it_was_set_to() -> None:
    clock = Clock()
    controls = Controls(clock)
    controls.merge({"clock": "2027-02-01T12:00:00"})
    assert controls.to_json()["clock"] == "2027-02-01T12:00:00"
    assert clock.now().isoformat().startswith("2027-02-01T12:00:")
    controls.restore()
    assert controls.to_json()["clock"] is None
