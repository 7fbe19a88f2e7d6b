from datetime import timedelta

import pytest

from shared.providers.retry_after import asked_delay, rate_limit_reset

_SENT = "Sun, 22 Nov 2026 10:00:00 GMT"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after-ms": "1500", "retry-after": "7"}, 1.5),
        ({"retry-after": "Sun, 22 Nov 2026 10:01:30 GMT", "date": _SENT}, 90.0),
        ({"retry-after": "999999999"}, 7 * 86_400.0),
    ],
)
def test_a_wait_is_read_in_every_form(headers: dict[str, str], seconds: float) -> None:
    assert asked_delay(headers) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"retry-after": "soon"},
        {"retry-after": "-3"},
        {"retry-after": "0"},
        {"retry-after": "Sun, 22 Nov 2026 10:01:30 GMT"},
        {"retry-after": "Sun, 22 Nov 2026 10:01:30", "date": _SENT},
        {"retry-after": "Sun, 22 Nov 2026 09:00:00 GMT", "date": _SENT},
    ],
)
def test_a_wait_that_cannot_be_read_is_none(headers: dict[str, str]) -> None:
    assert asked_delay(headers) is None


@pytest.mark.parametrize(
    ("reset", "seconds"),
    [
        ("20ms", 0.02),
        ("1s", 1.0),
        ("6m0s", 360.0),
        ("1h0m1.5s", 3_601.5),
        ("1d", 86_400.0),
        ("3", 3.0),
    ],
)
def test_a_reset_is_read_in_every_form(reset: str, seconds: float) -> None:
    assert rate_limit_reset({"x-ratelimit-reset-tokens": reset}) == timedelta(seconds=seconds)


def test_only_a_limit_that_is_used_up_counts() -> None:
    headers = {
        "x-ratelimit-remaining-requests": "12",
        "x-ratelimit-reset-requests": "6m0s",
        "x-ratelimit-remaining-tokens": "0",
        "x-ratelimit-reset-tokens": "2s",
    }

    assert rate_limit_reset(headers) == timedelta(seconds=2)


@pytest.mark.parametrize("headers", [{}, {"x-ratelimit-reset-tokens": "soon"}])
def test_a_reset_that_cannot_be_read_is_none(headers: dict[str, str]) -> None:
    assert rate_limit_reset(headers) is None
