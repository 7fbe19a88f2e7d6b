from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from shared.domain.retry import RUNGS, next_delay, rung_for

DELAYS = st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=1))
JITTERS = st.floats(min_value=0, max_value=1)
NUMBERS = st.integers(min_value=0, max_value=50)


@given(DELAYS)
def test_no_rung_is_shorter_than_the_delay(delay: timedelta) -> None:
    rung = rung_for(delay)

    assert (rung is None) is (delay > RUNGS[-1].delay)
    assert rung is None or rung.delay >= delay


@given(NUMBERS, JITTERS)
def test_jitter_never_leaves_the_rung(number: int, jitter: float) -> None:
    assert rung_for(next_delay(number, None, jitter)) is rung_for(next_delay(number, None, 0.0))


@given(NUMBERS, DELAYS, JITTERS)
def test_retry_after_is_honoured(number: int, retry_after: timedelta, jitter: float) -> None:
    assert next_delay(number, retry_after, jitter) >= retry_after
