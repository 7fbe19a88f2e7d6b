from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from shared.domain.catalog import CLOUDFLARE
from shared.domain.circuits import (
    EVERY_MODEL,
    Circuit,
    CircuitClass,
    CircuitKey,
    CircuitState,
    Trip,
    next_minute,
    open_until,
)

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def _opened(
    circuit: CircuitClass = CircuitClass.FAILING, seconds: int = 5, openings: int = 1
) -> Circuit:
    return Circuit(
        CircuitKey(CLOUDFLARE, "llama", circuit),
        CircuitState.OPEN,
        NOW,
        NOW + seconds * SECOND,
        openings,
        "3040",
        "out of capacity",
    )


def test_a_circuit_is_open_until_its_time_and_then_wants_a_try() -> None:
    circuit = _opened()
    assert circuit.state_at(NOW + 4 * SECOND) is CircuitState.OPEN
    assert circuit.state_at(NOW + 5 * SECOND) is CircuitState.HALF_OPEN
    assert circuit.share_at(NOW) == circuit.share_at(NOW + 9 * SECOND) == 0


def test_calls_return_step_by_step_for_as_long_as_it_was_open() -> None:
    circuit = replace(_opened(), recovers_from=NOW + 6 * SECOND)
    shares = [circuit.share_at(NOW + seconds * SECOND) for seconds in range(6, 12)]
    assert shares == sorted(shares)
    assert shares[0] < 0.05
    assert shares[-1] == 1
    assert circuit.state_at(NOW + 10 * SECOND) is CircuitState.RECOVERING
    assert circuit.state_at(NOW + 11 * SECOND) is CircuitState.CLOSED


@pytest.mark.parametrize(("seconds", "ramp"), [(0, 1), (3600, 10)])
def test_a_recovery_lasts_from_one_second_to_ten(seconds: int, ramp: int) -> None:
    start = NOW + (seconds + 1) * SECOND
    circuit = replace(_opened(seconds=seconds), recovers_from=start)
    almost = start + ramp * SECOND - timedelta(milliseconds=1)
    assert circuit.state_at(almost) is CircuitState.RECOVERING
    assert circuit.state_at(start + ramp * SECOND) is CircuitState.CLOSED


def test_after_a_rate_limit_calls_return_without_a_try() -> None:
    circuit = _opened(CircuitClass.RATE)
    assert circuit.state_at(NOW + 5 * SECOND) is CircuitState.RECOVERING


def test_a_failure_of_the_same_time_only_keeps_it_open_for_longer() -> None:
    later = replace(_opened(), opened_at=NOW + SECOND, open_until=NOW + 9 * SECOND, openings=2)
    circuit = _opened().tripped(later)
    assert (circuit.openings, circuit.open_until) == (1, NOW + 9 * SECOND)


def test_a_failure_after_its_time_opens_it_anew() -> None:
    again = replace(_opened(openings=2), opened_at=NOW + 6 * SECOND)
    assert _opened().tripped(again) == again


@pytest.mark.parametrize(
    ("circuit", "openings", "retry_after", "seconds"),
    [
        (CircuitClass.FAILING, 1, None, 5),
        (CircuitClass.FAILING, 3, None, 20),
        (CircuitClass.FAILING, 99, None, 60),
        (CircuitClass.FAILING, 1, 30, 30),
        (CircuitClass.FAILING, 4, 30, 40),
        (CircuitClass.RATE, 1, None, 2),
        (CircuitClass.RATE, 5, 1, 1),
        (CircuitClass.MONEY, 1, None, 300),
        (CircuitClass.ACCESS, 1, None, 30),
        (CircuitClass.RETIRED, 9, None, 21_600),
        (CircuitClass.QUOTA, 1, 1, 43_200),
    ],
)
def test_how_long_a_circuit_stays_open(
    circuit: CircuitClass, openings: int, retry_after: int | None, seconds: int
) -> None:
    asked = None if retry_after is None else retry_after * SECOND
    assert open_until(circuit, openings, asked, NOW) == NOW + seconds * SECOND


def test_a_limit_by_the_clocks_minute_ends_just_after_it() -> None:
    assert next_minute(NOW + 42.5 * SECOND) == 18.5 * SECOND


def test_a_trip_concerns_one_model_or_all_of_them() -> None:
    one = CircuitKey.of(CLOUDFLARE, "llama", Trip(CircuitClass.RATE))
    every = CircuitKey.of(CLOUDFLARE, "llama", Trip(CircuitClass.QUOTA, every_model=True))
    assert (one.model, every.model) == ("llama", EVERY_MODEL)
    assert str(one) == "cloudflare/llama: rate"


@pytest.mark.parametrize("circuit", CircuitClass)
def test_only_outages_count_against_a_job(circuit: CircuitClass) -> None:
    assert Trip(circuit).takes_no_calls is (circuit is not CircuitClass.FAILING)
