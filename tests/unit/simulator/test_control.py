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
        {"cloudflare": {"plan": "enterprise"}},
        {"cloudflare": {"queue_ms": -1}},
        {"openai": {"queue_ms": 1}},
        {"openai": {"latency_ms": {"p50": 1}}},
        {"openai": {"requests_per_minute": 1.5}},
        {"openai": {"tokens_per_minute": -1}},
        {"openai": {"seed": "x"}},
        {"openai": {"mode": "error", "error": "3030"}},
        {"openai": {"error": True}},
        {"openai": {"models": []}},
        {"openai": {"models": {"m": 1}}},
        {"openai": {"models": {"m": {"mode": "tired"}}}},
        {"openai": {"models": {"m": {"models": {}}}}},
        {"cloudflare": {"models": {"m": {"plan": "free"}}}},
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


def test_a_model_has_its_providers_settings_but_for_its_own() -> None:
    controls = Controls(Clock())
    controls.merge({"openai": {"models": {"m": {"mode": "down"}}}})
    controls.merge({"openai": {"after_chunks": 7, "models": {"m": {"latency_ms": 5}}}})
    drawn = controls.draw("openai", "m")
    assert (drawn.mode, drawn.after_chunks, drawn.latency_seconds) == (Mode.DOWN, 7, 0.005)
    assert controls.draw("openai", "other").mode is Mode.OK


def test_a_models_calls_are_drawn_apart() -> None:
    controls = Controls(Clock())
    controls.merge({"openai": {"models": {"m": {"mode": "down", "probability": 0.5}}}})
    for _ in range(3):
        controls.draw("openai", "other")
    assert [controls.draw("openai", "m").mode for _ in range(2)] == [Mode.OK, Mode.DOWN]


def test_an_error_may_be_named_by_its_number() -> None:
    controls = Controls(Clock(), {"cloudflare": {"3030"}})
    controls.merge({"cloudflare": {"mode": "error", "error": 3030}})
    assert controls.draw("cloudflare").error == "3030"


def test_zero_means_no_limit() -> None:
    controls = Controls(Clock())
    controls.merge({"openai": {"requests_per_minute": 0, "tokens_per_minute": 0}})
    assert controls.of("openai").behaviour.limit is None


def test_a_slow_call_has_a_tenth_of_the_speed() -> None:
    controls = Controls(Clock())
    controls.merge({"openai": {"mode": "slow", "probability": 0.5, "tokens_per_second": 50}})
    assert [controls.draw("openai").tokens_per_second for _ in range(2)] == [50, 5]
    controls.merge({"openai": {"tokens_per_second": None}})
    assert [controls.draw("openai").tokens_per_second for _ in range(2)] == [0, 1]


def test_the_clock_runs_on_from_the_moment_it_was_set_to() -> None:
    clock = Clock()
    controls = Controls(clock)
    controls.merge({"clock": "2027-02-01T12:00:00"})
    assert controls.to_json()["clock"] == "2027-02-01T12:00:00"
    assert clock.now().isoformat().startswith("2027-02-01T12:00:")
    controls.restore()
    assert controls.to_json()["clock"] is None
