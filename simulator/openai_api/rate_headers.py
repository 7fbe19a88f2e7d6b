"""The `x-ratelimit-*` headers, which tell the truth while a limit is set."""

import math

from simulator.exchange import Headers
from simulator.rate_limit import Meter, Unit, Verdict

_SECOND_MS = 1_000
_MINUTE_MS = 60_000
_BY_UNIT: dict[Unit, Headers] = {
    "requests": [
        (b"x-ratelimit-limit-requests", b"10000"),
        (b"x-ratelimit-remaining-requests", b"9999"),
        (b"x-ratelimit-reset-requests", b"6ms"),
    ],
    "tokens": [
        (b"x-ratelimit-limit-tokens", b"10000000"),
        (b"x-ratelimit-remaining-tokens", b"9999900"),
        (b"x-ratelimit-reset-tokens", b"1ms"),
    ],
}
UNLIMITED: Headers = [header for headers in _BY_UNIT.values() for header in headers]


def rate_headers(verdict: Verdict) -> Headers:
    """Return the headers of both units; one without a limit seems to have a wide one."""
    told = {meter.unit: _told(meter) for meter in verdict.meters}
    return [header for unit, wide in _BY_UNIT.items() for header in told.get(unit, wide)]


def _told(meter: Meter) -> Headers:
    unit = meter.unit.encode()
    return [
        (b"x-ratelimit-limit-" + unit, b"%d" % meter.limit),
        (b"x-ratelimit-remaining-" + unit, b"%d" % meter.remaining),
        (b"x-ratelimit-reset-" + unit, duration(meter.reset_seconds).encode()),
    ]


def duration(seconds: float) -> str:
    """Return a time as OpenAI writes it: `20ms`, `1.5s`, `6m0s`; never less than it is."""
    milliseconds = math.ceil(seconds * 1000)
    if milliseconds < _SECOND_MS:
        return f"{milliseconds}ms"
    minutes, rest = divmod(milliseconds, _MINUTE_MS)
    seconds_left = f"{rest / _SECOND_MS:g}s"
    return f"{minutes}m{seconds_left}" if minutes else seconds_left
