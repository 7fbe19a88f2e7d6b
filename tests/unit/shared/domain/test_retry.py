from datetime import timedelta

import pytest

from shared.domain.retry import RUNGS, next_delay, rung_for

SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("seconds", "exchange"),
    [
        (0, "retry.5s"),
        (5, "retry.5s"),
        (6, "retry.30s"),
        (31, "retry.2m"),
        (121, "retry.10m"),
        (600, "retry.10m"),
    ],
)
def test_a_delay_waits_on_the_lowest_rung_that_is_long_enough(seconds: int, exchange: str) -> None:
    rung = rung_for(seconds * SECOND)

    assert rung is not None
    assert rung.exchange == exchange


def test_a_delay_beyond_the_ladder_has_no_rung() -> None:
    assert rung_for(601 * SECOND) is None


def test_each_failed_attempt_climbs_a_rung_until_the_top() -> None:
    delays = [next_delay(number, None, 0.0) for number in range(1, 7)]

    assert delays == [rung.delay for rung in RUNGS] + [RUNGS[-1].delay] * 2


def test_the_provider_is_never_asked_again_too_early() -> None:
    assert next_delay(1, timedelta(hours=1), 1.0) == timedelta(hours=1)


def test_a_short_retry_after_does_not_shorten_the_ladder() -> None:
    assert next_delay(2, SECOND, 0.0) == 30 * SECOND


def test_jitter_takes_up_to_a_quarter_off() -> None:
    assert next_delay(2, None, 1.0) == 22.5 * SECOND
