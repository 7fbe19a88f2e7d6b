"""How fast a provider may be called, and when the next call's turn comes.

A limit is kept by pacing: calls get turns one after the other, a little slower than the limit, so
that no minute, wherever it begins, sees more than the provider allows although calls leave a moment
late. Invariant: `turns a minute + the burst + a second's lateness <= limit`.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.domain.catalog import Provider

_PACE = 0.97
_BURST_SHARE = 0.012
_MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimit:
    """What a provider allows a minute.

    Attributes:
        provider: Whose limit.
        model: The model that it is for; None when all of the provider's models share it.
        is_per_token: Whether each API token has it for itself.
        requests_per_minute: None for no such limit.
        tokens_per_minute: Input and allowed output together; None for no such limit.

    Raises:
        ValueError: It limits nothing, or a number is not positive.
    """

    provider: Provider
    model: str | None = None
    is_per_token: bool = False
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None

    def __post_init__(self) -> None:
        numbers = (self.requests_per_minute, self.tokens_per_minute)
        if numbers == (None, None):
            raise ValueError("names neither requests_per_minute nor tokens_per_minute")
        if any(number is not None and number < 1 for number in numbers):
            raise ValueError("a limit is at least 1 a minute")

    def applies_to(self, provider: Provider, model: str) -> bool:
        """Tell whether a model's calls count."""
        return self.provider == provider and self.model in {None, model}


@dataclass(frozen=True, slots=True)
class Pace:
    """How a limit of so many units a minute is kept.

    Attributes:
        interval: Between two turns of one unit each.
        burst: How far turns may run ahead after a quiet time.
    """

    interval: timedelta
    burst: timedelta


def pace_of(units_per_minute: int) -> Pace:
    """Return the pace that keeps a limit."""
    interval = _MINUTE / (units_per_minute * _PACE)
    return Pace(interval, interval * int(units_per_minute * _BURST_SHARE))


@dataclass(slots=True)
class TurnLine:
    """Who is next within one limit.

    Attributes:
        pace: How the limit is kept.
        next_turn: When its next unit's turn comes.
        ends_at: No turn after this moment is given.
        is_exhausted: Whether somebody went without a turn; whoever comes later does so too.
    """

    pace: Pace
    next_turn: datetime
    ends_at: datetime
    is_exhausted: bool = False

    def has_turn(self, now: datetime) -> bool:
        """Tell whether there is a turn."""
        return not self.is_exhausted and self._turn(now) <= self.ends_at

    def take(self, units: int, now: datetime) -> datetime:
        """Take the next turn, which lasts as long as so many units, and return when it begins."""
        turn = self._turn(now)
        self.next_turn = max(self.next_turn, now) + self.pace.interval * units
        return turn

    def _turn(self, now: datetime) -> datetime:
        return max(now, self.next_turn - self.pace.burst)


@dataclass(frozen=True, slots=True, kw_only=True)
class RateReport:
    """What a provider says is left of its limits; None for what it does not say.

    Attributes:
        limit_requests: How many requests a window takes in all.
        limit_tokens: How many tokens a window takes in all.
        remaining_requests: How many requests it still takes.
        remaining_tokens: How many tokens it still takes.
        requests_reset_in: When all requests are there again, from the answer on.
        tokens_reset_in: When all tokens are there again, from the answer on.
    """

    limit_requests: int | None = None
    limit_tokens: int | None = None
    remaining_requests: int | None = None
    remaining_tokens: int | None = None
    requests_reset_in: timedelta | None = None
    tokens_reset_in: timedelta | None = None

    @property
    def exhausted_for(self) -> timedelta | None:
        """Return how long nothing is left; None while something is."""
        waits = [
            wait
            for remaining, wait in (
                (self.remaining_requests, self.requests_reset_in),
                (self.remaining_tokens, self.tokens_reset_in),
            )
            if remaining == 0 and wait is not None
        ]
        return max(waits, default=None)
