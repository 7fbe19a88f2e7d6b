from datetime import UTC, datetime, timedelta

import pytest

from shared.domain.catalog import CLOUDFLARE, OPENAI
from shared.domain.rate_limits import RateLimit, RateReport

SECOND = timedelta(seconds=1)
NOW = datetime(2026, 11, 23, tzinfo=UTC)


def test_a_limit_is_for_one_model_or_for_all_of_a_provider() -> None:
    one = RateLimit(provider=CLOUDFLARE, model="llama", requests_per_minute=300)
    every = RateLimit(provider=CLOUDFLARE, requests_per_minute=300)
    assert one.applies_to(CLOUDFLARE, "llama")
    assert not one.applies_to(CLOUDFLARE, "gemma")
    assert every.applies_to(CLOUDFLARE, "gemma")
    assert not every.applies_to(OPENAI, "llama")


def test_a_limit_that_limits_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="neither requests_per_minute nor tokens_per_minute"):
        RateLimit(provider=CLOUDFLARE)


@pytest.mark.parametrize("numbers", [(0, None), (None, -1), (5, 0)])
def test_a_limit_below_one_is_refused(numbers: tuple[int | None, int | None]) -> None:
    requests, tokens = numbers
    with pytest.raises(ValueError, match="at least 1"):
        RateLimit(provider=CLOUDFLARE, requests_per_minute=requests, tokens_per_minute=tokens)


@pytest.mark.parametrize(
    ("report", "waits"),
    [
        (RateReport(), None),
        (RateReport(remaining_requests=3, requests_reset_in=SECOND), None),
        (RateReport(remaining_requests=0), None),
        (RateReport(remaining_requests=0, requests_reset_in=SECOND), SECOND),
        (
            RateReport(
                remaining_requests=0,
                requests_reset_in=SECOND,
                remaining_tokens=0,
                tokens_reset_in=5 * SECOND,
            ),
            5 * SECOND,
        ),
    ],
)
def test_a_provider_with_nothing_left_says_for_how_long(
    report: RateReport, waits: timedelta | None
) -> None:
    assert report.exhausted_for == waits
