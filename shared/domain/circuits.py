"""When a provider is let alone, and how calls return to it.

A circuit belongs to a provider's model, or to all of its models, and to one class of errors. It is
closed, open until a moment, half-open while one call tries, and recovering while calls return step
by step. Invariant: what a circuit lets through is a function of its stored state and the time, so
that every replica that knows the state decides alike.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from shared.domain.catalog import Provider

EVERY_MODEL = "*"
"""Stands for all models of a provider."""


class CircuitClass(StrEnum):
    """What kind of trouble opened a circuit."""

    FAILING = "failing"
    """Outages, time limits and answers that break off: opens after several in a row."""
    RATE = "rate"
    """Too fast or out of capacity: opens at once, for as long as the provider asks."""
    QUOTA = "quota"
    """The daily free allocation is used up: opens until 00:00 UTC."""
    MONEY = "money"
    """The account's money or credit is used up."""
    ACCESS = "access"
    """Wrong credentials, or rights that are missing."""
    RETIRED = "retired"
    """The model is gone; its successor takes over."""


class CircuitState(StrEnum):
    """How much a circuit lets through."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"
    RECOVERING = "recovering"


@dataclass(frozen=True, slots=True)
class Trip:
    """Which circuit a failure concerns.

    Attributes:
        circuit: Its class.
        every_model: Whether it is the one of all of the provider's models.
        until_next_minute: Whether the provider counts by the clock's minute.
        is_by_chance: Whether the next call may well be taken: only many of them say something.
    """

    circuit: CircuitClass
    every_model: bool = False
    until_next_minute: bool = False
    is_by_chance: bool = False

    @property
    def takes_many(self) -> bool:
        """Tell whether a circuit opens after several such failures, rather than after one."""
        return self.is_by_chance or self.circuit is CircuitClass.FAILING

    @property
    def takes_no_calls(self) -> bool:
        """Tell whether the provider took no call at all: no fault of the job's, and unpaid."""
        return self.circuit is not CircuitClass.FAILING


@dataclass(frozen=True, slots=True)
class CircuitKey:
    """Which circuit: a provider's model, or `EVERY_MODEL`, and a class of errors."""

    provider: Provider
    model: str
    circuit: CircuitClass

    @classmethod
    def of(cls, provider: Provider, model: str, trip: Trip) -> "CircuitKey":
        """Return the circuit that a model's failure concerns."""
        return cls(provider, EVERY_MODEL if trip.every_model else model, trip.circuit)

    def __str__(self) -> str:
        return f"{self.provider}/{self.model}: {self.circuit}"


@dataclass(frozen=True, slots=True)
class Circuit:
    """A circuit that is not closed.

    Attributes:
        state: As stored; what it lets through also depends on the time.
        opened_at: When it opened last.
        open_until: When calls may return.
        openings: How often it opened without having closed, from 1.
        code: The failure's code.
        message: A sentence for people.
        probe_until: Until when the call that tries may last; None while nobody tries.
        recovers_from: When calls began to return; None before.
    """

    key: CircuitKey
    state: CircuitState
    opened_at: datetime
    open_until: datetime
    openings: int
    code: str
    message: str
    probe_until: datetime | None = None
    recovers_from: datetime | None = None

    def state_at(self, now: datetime) -> CircuitState:
        """Return the state that counts at `now`."""
        since = self._returns_since(now)
        if since is not None:
            is_over = now >= since + self._ramp
            return CircuitState.CLOSED if is_over else CircuitState.RECOVERING
        return CircuitState.OPEN if now < self.open_until else CircuitState.HALF_OPEN

    def share_at(self, now: datetime) -> float:
        """Return which share of calls may be made, 0 … 1; the call that tries is not counted."""
        match self.state_at(now):
            case CircuitState.CLOSED:
                return 1.0
            case CircuitState.RECOVERING:
                since = self._returns_since(now) or now
                done = (now - since) / self._ramp
                return _FIRST_SHARE + (1 - _FIRST_SHARE) * done * done
            case _:
                return 0.0

    def tripped(self, tripped: "Circuit") -> "Circuit":
        """Return the circuit after a further failure; failures of one time open it once."""
        if self.state_at(tripped.opened_at) is CircuitState.OPEN:
            return replace(self, open_until=max(self.open_until, tripped.open_until))
        return tripped

    @property
    def _ramp(self) -> timedelta:
        return min(max(self.open_until - self.opened_at, _SHORTEST_RAMP), _LONGEST_RAMP)

    def _returns_since(self, now: datetime) -> datetime | None:
        if self.recovers_from is not None:
            return self.recovers_from
        needs_no_probe = self.key.circuit is CircuitClass.RATE and now >= self.open_until
        return self.open_until if needs_no_probe else None


_FIRST_SHARE = 0.02
_SHORTEST_RAMP = timedelta(seconds=1)
_LONGEST_RAMP = timedelta(seconds=10)
PROBE_LASTS = timedelta(seconds=30)
"""How long the call that tries may take before another one may try."""


@dataclass(frozen=True, slots=True)
class _Cooldown:
    """The first one, doubled with each opening up to the longest."""

    first: timedelta
    longest: timedelta

    def of(self, openings: int) -> timedelta:
        doublings = min(openings - 1, 16)
        return min(self.first * (1 << doublings), self.longest)


_COOLDOWNS: Mapping[CircuitClass, _Cooldown] = {
    CircuitClass.FAILING: _Cooldown(timedelta(seconds=5), timedelta(minutes=1)),
    CircuitClass.RATE: _Cooldown(timedelta(seconds=2), timedelta(minutes=1)),
    CircuitClass.MONEY: _Cooldown(timedelta(minutes=5), timedelta(hours=1)),
    CircuitClass.ACCESS: _Cooldown(timedelta(seconds=30), timedelta(minutes=10)),
    CircuitClass.RETIRED: _Cooldown(timedelta(hours=1), timedelta(hours=6)),
}


def open_until(
    circuit: CircuitClass, openings: int, retry_after: timedelta | None, now: datetime
) -> datetime:
    """Return until when a circuit that opens now stays open.

    Args:
        circuit: Its class; a quota comes back at 00:00 UTC.
        openings: How often it has opened without having closed, this time included, from 1.
        retry_after: The least that the provider asked for.
        now: UTC-aware.
    """
    if circuit is CircuitClass.QUOTA:
        midnight = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        return midnight + timedelta(days=1)
    if circuit is CircuitClass.RATE and retry_after is not None:
        return now + retry_after
    cooldown = _COOLDOWNS[circuit].of(openings)
    return now + (cooldown if retry_after is None else max(cooldown, retry_after))


def next_minute(now: datetime) -> timedelta:
    """Return how long a limit that counts by the clock's minute lasts: to a second after it."""
    return timedelta(minutes=1, seconds=1) - timedelta(
        seconds=now.second, microseconds=now.microsecond
    )
