"""What providers say of their limits beside an answer, in OpenAI's headers.

Invariant: a header that cannot be read says nothing; it never makes an answer worse.
"""

from collections.abc import Mapping
from datetime import timedelta

from shared.domain.rate_limits import RateReport
from shared.providers.retry_after import duration_seconds

_LONGEST_SECONDS = 7 * 86_400.0
_MOST_DIGITS = 15
_NOTHING = RateReport()


def rate_report(headers: Mapping[str, str]) -> RateReport | None:
    """Return what the `x-ratelimit-*` headers of an answer say; None when there are none."""
    report = RateReport(
        limit_requests=_count(headers.get("x-ratelimit-limit-requests")),
        limit_tokens=_count(headers.get("x-ratelimit-limit-tokens")),
        remaining_requests=_count(headers.get("x-ratelimit-remaining-requests")),
        remaining_tokens=_count(headers.get("x-ratelimit-remaining-tokens")),
        requests_reset_in=_wait(headers.get("x-ratelimit-reset-requests")),
        tokens_reset_in=_wait(headers.get("x-ratelimit-reset-tokens")),
    )
    return None if report == _NOTHING else report


def _count(text: str | None) -> int | None:
    is_number = text is not None and text.isdecimal() and len(text) <= _MOST_DIGITS
    return int(text) if text is not None and is_number else None


def _wait(text: str | None) -> timedelta | None:
    seconds = duration_seconds(text)
    return None if seconds is None else timedelta(seconds=min(seconds, _LONGEST_SECONDS))
