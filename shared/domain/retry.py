"""When failed work comes back: a ladder of fixed delays, each a queue of its own in the broker.

Invariant: work never comes back earlier than the provider asked for.
"""

from dataclasses import dataclass
from datetime import timedelta
from zlib import crc32

MAX_FAILED_ATTEMPTS = 8
"""After so many failed or lost attempts a job is not tried again."""
_JITTER_SHARE = 0.25
_LONGEST_SPREAD = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class Rung:
    """One delay and the exchange that keeps a message for that long."""

    delay: timedelta
    exchange: str


RUNGS = (
    Rung(timedelta(seconds=5), "retry.5s"),
    Rung(timedelta(seconds=30), "retry.30s"),
    Rung(timedelta(minutes=2), "retry.2m"),
    Rung(timedelta(minutes=10), "retry.10m"),
)
"""From the shortest delay to the longest."""


def rung_for(delay: timedelta) -> Rung | None:
    """Return the lowest rung that waits at least `delay`.

    None means that the delay is longer than the ladder: keep the message in the outbox until then.
    """
    return next((rung for rung in RUNGS if rung.delay >= delay), None)


def spread(delay: timedelta, seed: str) -> timedelta:
    """Return `delay` and up to a quarter more, at most 5 s, so that work returns one by one.

    Args:
        delay: The least.
        seed: Decides how much more.
    """
    share = crc32(seed.encode()) / (1 << 32)
    return delay + min(delay * _JITTER_SHARE, _LONGEST_SPREAD) * share


def next_delay(attempt_number: int, retry_after: timedelta | None, jitter: float) -> timedelta:
    """Return how long to wait before the next attempt.

    Args:
        attempt_number: How many attempts have failed, counted from 1; each climbs a rung.
        retry_after: The least delay the provider asked for, if it did.
        jitter: A random number in 0 … 1 that takes up to a quarter off, so that work which failed
            together does not return together.

    Returns:
        A delay on the rung of that attempt or, when the provider asked for more, exactly that.
    """
    rung = RUNGS[min(max(attempt_number, 1), len(RUNGS)) - 1]
    delay = rung.delay * (1 - _JITTER_SHARE * jitter)
    return delay if retry_after is None else max(delay, retry_after)
