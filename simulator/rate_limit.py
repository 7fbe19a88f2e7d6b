"""Limits of a minute that really limit.

Invariant: in any 60 seconds, a pool admits no more requests and no more tokens than its limit says.
A request is weighed by its input and the `max_tokens` it asks for, as OpenAI does, and what was
refused weighs nothing.
"""

from collections import defaultdict, deque
from dataclasses import dataclass
from typing import Literal

MINUTE_SECONDS = 60.0
Unit = Literal["requests", "tokens"]


@dataclass(frozen=True, slots=True)
class RateLimit:
    """What a minute may hold; None for any number."""

    requests: int | None
    tokens: int | None


@dataclass(frozen=True, slots=True)
class Meter:
    """What a client may be told of one limit.

    Attributes:
        unit: What is counted.
        limit: How many a minute may hold.
        remaining: How many are left.
        reset_seconds: Until all of them are there again.
        wait_seconds: Until the request would fit; 0 when it does.
    """

    unit: Unit
    limit: int
    remaining: int
    reset_seconds: float
    wait_seconds: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a request was admitted, and the state it left."""

    meters: tuple[Meter, ...]

    @property
    def exceeded(self) -> Meter | None:
        """The limit that makes the request wait longest; None when it was admitted."""
        longest = max(self.meters, key=lambda meter: meter.wait_seconds)
        return longest if longest.wait_seconds else None


class RateLimiter:
    """The pools of a provider and of those of its models that have a limit of their own."""

    def __init__(self) -> None:
        self._windows: defaultdict[tuple[str, Unit], _Window] = defaultdict(_Window)

    def take(self, pool: str, limit: RateLimit, tokens: int, now: float) -> Verdict:
        """Admit a request of `tokens` at `now` (seconds, never falling) if it fits."""
        asked: tuple[tuple[Unit, int | None, int], ...] = (
            ("requests", limit.requests, 1),
            ("tokens", limit.tokens, tokens),
        )
        counts = [
            _Count(unit, most, amount, self._windows[pool, unit])
            for unit, most, amount in asked
            if most is not None
        ]
        waits = [count.window.wait_seconds(count.most, count.amount, now) for count in counts]
        if not any(waits):
            for count in counts:
                count.window.add(count.amount, now)
        return Verdict(
            tuple(count.meter(wait, now) for count, wait in zip(counts, waits, strict=True))
        )

    def forget(self) -> None:
        """Let every pool be full again."""
        self._windows.clear()


class _Window:
    """The amounts that were admitted within the last minute."""

    def __init__(self) -> None:
        self._entries: deque[tuple[float, int]] = deque()
        self.used = 0

    def add(self, amount: int, now: float) -> None:
        self._entries.append((now, amount))
        self.used += amount

    def wait_seconds(self, most: int, amount: int, now: float) -> float:
        """Return how long until `amount` fits; a minute if it never does."""
        self._let_go(now)
        excess = self.used + amount - most
        if excess <= 0:
            return 0.0
        for at, admitted in self._entries:
            excess -= admitted
            if excess <= 0:
                return at + MINUTE_SECONDS - now
        return MINUTE_SECONDS

    def reset_seconds(self, now: float) -> float:
        return self._entries[-1][0] + MINUTE_SECONDS - now if self._entries else 0.0

    def _let_go(self, now: float) -> None:
        while self._entries and now - self._entries[0][0] >= MINUTE_SECONDS:
            self.used -= self._entries.popleft()[1]


@dataclass(frozen=True, slots=True)
class _Count:
    """One request, counted in one unit."""

    unit: Unit
    most: int
    amount: int
    window: _Window

    def meter(self, wait_seconds: float, now: float) -> Meter:
        remaining = max(self.most - self.window.used, 0)
        reset_seconds = self.window.reset_seconds(now)
        return Meter(self.unit, self.most, remaining, reset_seconds, wait_seconds)
