from datetime import timedelta

import pytest

from shared.domain.rate_limits import RateReport
from shared.providers.rate_reports import rate_report


def test_what_openai_says_of_its_limits_is_read() -> None:
    headers = {
        "x-ratelimit-limit-requests": "500",
        "x-ratelimit-limit-tokens": "200000",
        "x-ratelimit-remaining-requests": "499",
        "x-ratelimit-remaining-tokens": "199880",
        "x-ratelimit-reset-requests": "120ms",
        "x-ratelimit-reset-tokens": "6m0s",
    }

    assert rate_report(headers) == RateReport(
        limit_requests=500,
        limit_tokens=200_000,
        remaining_requests=499,
        remaining_tokens=199_880,
        requests_reset_in=timedelta(milliseconds=120),
        tokens_reset_in=timedelta(minutes=6),
    )


def test_nothing_said_is_no_report() -> None:
    assert rate_report({"content-type": "application/json"}) is None


def test_a_part_is_a_report_too() -> None:
    assert rate_report({"x-ratelimit-remaining-tokens": "0"}) == RateReport(remaining_tokens=0)


@pytest.mark.parametrize("value", ["", "-1", "1.5", "many", "9" * 99])
def test_a_count_that_cannot_be_read_says_nothing(value: str) -> None:
    assert rate_report({"x-ratelimit-remaining-requests": value}) is None


@pytest.mark.parametrize(
    ("value", "wait"), [("1s", timedelta(seconds=1)), ("999d", timedelta(days=7)), ("soon", None)]
)
def test_a_reset_is_a_duration_of_at_most_a_week(value: str, wait: timedelta | None) -> None:
    report = rate_report({"x-ratelimit-reset-tokens": value})

    assert report == (None if wait is None else RateReport(tokens_reset_in=wait))
