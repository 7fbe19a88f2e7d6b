"""No minute, wherever it begins, sees more calls than a provider allows."""

from bisect import bisect_left
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from shared.domain.rate_limits import TurnLine, pace_of

MINUTE = timedelta(minutes=1)
LATEST = timedelta(seconds=1)
START = datetime(2026, 11, 23, tzinfo=UTC)


def _most_in_a_minute(moments: list[datetime]) -> int:
    moments = sorted(moments)
    return max(
        bisect_left(moments, moment + MINUTE) - number for number, moment in enumerate(moments)
    )


@settings(max_examples=60, deadline=None)
@given(
    limit=st.sampled_from([20, 60, 300, 3000]),
    arrivals=st.lists(st.integers(0, 90_000), min_size=1, max_size=700),
)
def test_no_minute_sees_more_calls_than_allowed(limit: int, arrivals: list[int]) -> None:
    line = TurnLine(pace_of(limit), START - MINUTE, START + timedelta(days=1))
    called: list[datetime] = []
    for arrival in sorted(arrivals):
        now = START + timedelta(milliseconds=arrival)
        late = LATEST * ((arrival * 7919) % 1000 / 1000)
        called.append(line.take(1, now) + late)
    assert _most_in_a_minute(called) <= limit


@given(limit=st.integers(10, 100_000))
def test_almost_all_that_is_allowed_is_used(limit: int) -> None:
    line = TurnLine(pace_of(limit), START, START + timedelta(days=1))
    count = min(limit, 2_000)
    turns = [line.take(1, START) for _ in range(count)]
    rate = (count - 1) / max((turns[-1] - turns[0]).total_seconds(), 1e-9) * 60
    assert rate >= 0.95 * limit
