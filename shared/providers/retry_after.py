"""How long a provider asks to wait, in every form in which the two say it.

Invariant: a wait that cannot be read is no wait; a header never makes an error worse.
"""

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime

_NUMBER = re.compile(r"\s*(\d+(?:\.\d+)?)\s*")
_DURATION_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|d|h|m|s)")
_DURATION = re.compile(rf"(?:{_DURATION_PART.pattern})+")
_SECONDS_BY_UNIT = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0}
_LONGEST_SECONDS = 7 * 86_400.0


def asked_delay(headers: Mapping[str, str]) -> timedelta | None:
    """Return what `retry-after-ms` or `retry-after` asks for; a date counts from `date`."""
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return _delay(milliseconds / 1000)
    value = headers.get("retry-after")
    seconds = _number(value)
    return _delay(_until(value, headers.get("date")) if seconds is None else seconds)


def rate_limit_reset(headers: Mapping[str, str]) -> timedelta | None:
    """Return when OpenAI's used-up limits are reset: the longest `x-ratelimit-reset-*` of those."""
    waits = [
        duration_seconds(headers.get(f"x-ratelimit-reset-{what}"))
        for what in ("requests", "tokens")
        if headers.get(f"x-ratelimit-remaining-{what}", "0") == "0"
    ]
    return _delay(max((wait for wait in waits if wait is not None), default=None))


def _delay(seconds: float | None) -> timedelta | None:
    if seconds is None or seconds <= 0:
        return None
    return timedelta(seconds=min(seconds, _LONGEST_SECONDS))


def _number(text: str | None) -> float | None:
    matched = _NUMBER.fullmatch(text or "")
    return float(matched[1]) if matched else None


def duration_seconds(text: str | None) -> float | None:
    """Return a number of seconds or a duration such as `6m0s`; None for anything else."""
    if not _DURATION.fullmatch(text or ""):
        return _number(text)
    parts = (match.groups() for match in _DURATION_PART.finditer(text or ""))
    return sum(float(amount) * _SECONDS_BY_UNIT[unit] for amount, unit in parts)


def _until(text: str | None, sent: str | None) -> float | None:
    moment, sent_at = _moment(text), _moment(sent)
    return (moment - sent_at).total_seconds() if moment and sent_at else None


def _moment(text: str | None) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text or "")
    except ValueError:
        return None
    return moment if moment.tzinfo else None
