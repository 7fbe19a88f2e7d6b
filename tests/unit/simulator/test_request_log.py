import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from simulator.request_log import Calls, RequestLog, most_within

_HOUR = 3600.0
_TIMES = st.lists(st.integers(0, 400), max_size=40).map(sorted)


@given(_TIMES)
def test_the_fullest_window_is_found(times: list[int]) -> None:
    expected = max((sum(t <= other < t + 60 for other in times) for t in times), default=0)
    assert most_within(60, np.array(times, dtype=np.float64)) == expected


def test_calls_are_told_apart_and_summed() -> None:
    log = RequestLog()
    for second in range(70):
        log.arrived("cloudflare", "a", second)
    log.arrived("openai", "b", 70.05).refused += 1
    assert _counts(log, None, None) == (71, 1, 60)
    assert _counts(log, "cloudflare", None) == (70, 0, 60)
    assert _counts(log, "openai", "b") == (1, 1, 1)
    assert _counts(log, "openai", "a") == (0, 0, 0)


def test_bursts_and_seconds_are_shown() -> None:
    log = RequestLog()
    for moment in (10.0, 10.05, 10.0999, 10.1, 12.0):
        log.arrived("openai", "m", moment)
    shown = log.to_json(None, None, 12.0)
    assert shown["most_in_100ms"] == 3
    assert shown["by_second"] == [(10, 4), (12, 1)]


def test_only_an_hour_is_kept() -> None:
    calls = Calls()
    for tenth in range(100_000):
        calls.arrived(tenth / 10)
    assert calls.total == 100_000
    kept = calls.since(0)
    assert len(kept) < 2 * _HOUR * 10 + 1
    assert len(calls.since(9_999.9 - _HOUR)) == 36_001


def test_an_hour_old_call_is_not_shown() -> None:
    log = RequestLog()
    log.arrived("openai", "m", 0)
    log.arrived("openai", "m", _HOUR + 1)
    shown = log.to_json(None, None, _HOUR + 1)
    assert (shown["total"], shown["by_second"]) == (2, [(3601, 1)])


def _counts(log: RequestLog, provider: str | None, model: str | None) -> tuple[object, ...]:
    shown = log.to_json(provider, model, 100)
    return shown["total"], shown["refused"], shown["most_in_a_minute"]
