from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.asked_tokens import asked_tokens
from simulator.json_values import JsonObject
from simulator.openai_api.rate_headers import duration
from simulator.rate_limit import RateLimit, RateLimiter

_GAPS = st.lists(st.floats(0, 40), min_size=1, max_size=60)


def _most_in_a_minute(admitted: list[tuple[float, int]]) -> int:
    return max(
        sum(amount for at, amount in admitted if start <= at < start + 60)
        for start, _ in [*admitted, (0.0, 0)]
    )


@given(_GAPS, st.integers(1, 5))
def test_no_minute_holds_more_requests_than_the_limit(gaps: list[float], most: int) -> None:
    limiter, limit = RateLimiter(), RateLimit(most, None)
    times = list(accumulate(gaps))
    admitted = [(at, 1) for at in times if not limiter.take("p", limit, 9, at).exceeded]
    assert _most_in_a_minute(admitted) <= most


@given(st.lists(st.tuples(st.floats(0, 40), st.integers(1, 60)), min_size=1, max_size=60))
def test_no_minute_holds_more_tokens_than_the_limit(calls: list[tuple[float, int]]) -> None:
    limiter, limit = RateLimiter(), RateLimit(None, 100)
    times = accumulate(gap for gap, _ in calls)
    admitted = [
        (at, tokens)
        for at, (_, tokens) in zip(times, calls, strict=True)
        if not limiter.take("p", limit, tokens, at).exceeded
    ]
    assert _most_in_a_minute(admitted) <= 100


@given(_GAPS)
def test_a_request_that_waits_as_told_fits(gaps: list[float]) -> None:
    limiter, limit = RateLimiter(), RateLimit(2, 50)
    now = 0.0
    for gap in gaps:
        now += gap
        if exceeded := limiter.take("p", limit, 20, now).exceeded:
            now += exceeded.wait_seconds + 1e-6
            assert not limiter.take("p", limit, 20, now).exceeded


def test_nothing_is_refused_below_the_limit() -> None:
    limiter, limit = RateLimiter(), RateLimit(60, None)
    assert not any(limiter.take("p", limit, 0, second).exceeded for second in range(600))


def test_what_was_refused_weighs_nothing() -> None:
    limiter, limit = RateLimiter(), RateLimit(1, 10)
    assert limiter.take("p", limit, 11, 0).exceeded
    assert not limiter.take("p", limit, 10, 1).exceeded


def test_what_never_fits_waits_a_minute() -> None:
    exceeded = RateLimiter().take("p", RateLimit(None, 10), 11, 0).exceeded
    assert exceeded is not None
    assert (exceeded.unit, exceeded.wait_seconds) == ("tokens", 60)


def test_pools_are_apart() -> None:
    limiter, limit = RateLimiter(), RateLimit(1, None)
    assert not limiter.take("a", limit, 0, 0).exceeded
    assert not limiter.take("b", limit, 0, 0).exceeded
    limiter.forget()
    assert not limiter.take("a", limit, 0, 0).exceeded


def test_meters_say_what_is_left() -> None:
    limiter, limit = RateLimiter(), RateLimit(10, 1000)
    limiter.take("p", limit, 300, 100)
    requests, tokens = limiter.take("p", limit, 300, 110).meters
    assert (requests.limit, requests.remaining, requests.reset_seconds) == (10, 8, 60)
    assert (tokens.limit, tokens.remaining, tokens.wait_seconds) == (1000, 400, 0)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0ms"), (0.0061, "7ms"), (1, "1s"), (1.5, "1.5s"), (59.9999, "1m0s"), (360, "6m0s")],
)
def test_durations_are_written_as_openai_does(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("body", "tokens"),
    [
        (None, 0),
        ({}, 0),
        ({"messages": [{"role": "user", "content": "two words"}], "max_tokens": 7}, 4 + 3 + 7),
        ({"prompt": "word"}, 4 + 1),
        ({"input": "two words"}, 3),
        ({"input": [[1, 2, 3], [4]]}, 4),
        ({"text": ["word", "two words"]}, 4),
    ],
)
def test_a_request_weighs_its_input_and_what_it_asks_for(
    body: JsonObject | None, tokens: int
) -> None:
    assert asked_tokens(body) == tokens
