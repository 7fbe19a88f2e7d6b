"""The faults that can be switched on, per provider.

Invariant: a draw is no lottery. After n calls a fault of probability P has struck exactly ⌊n·P⌋
times, so that a test of a share needs few calls.
"""

from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum
from typing import Literal

from simulator.clock import Clock
from simulator.json_values import JsonObject, is_integer, is_number, is_object

Provider = Literal["cloudflare", "openai"]
_PROVIDERS: tuple[Provider, ...] = ("cloudflare", "openai")
_ROUNDING = 1e-9


class Mode(StrEnum):
    """How a provider behaves."""

    OK = "ok"
    DOWN = "down"
    UNAUTHORIZED = "unauthorized"
    RATE_LIMITED = "rate_limited"
    NO_CAPACITY = "no_capacity"
    QUOTA = "quota"
    RETIRED = "retired"
    CUT_STREAM = "cut_stream"
    STALL = "stall"
    MALFORMED = "malformed"
    EMPTY = "empty"


_MODES = frozenset(mode.value for mode in Mode)


class InvalidControlError(ValueError):
    """A control value that cannot be set."""


@dataclass(frozen=True, slots=True)
class Behaviour:
    """A provider's settings; `tokens_per_second` 0 or None means no limit.

    Only Cloudflare gives neurons away.
    """

    latency_ms: float = 0
    tokens_per_second: float | None = None
    mode: Mode = Mode.OK
    probability: float = 1.0
    after_chunks: int = 3
    free_neurons_per_day: float = 0

    def to_json(self) -> JsonObject:
        """Return the wire form."""
        return {
            "latency_ms": self.latency_ms,
            "tokens_per_second": self.tokens_per_second,
            "mode": self.mode.value,
            "probability": self.probability,
            "after_chunks": self.after_chunks,
        }


class Controls:
    """Each provider's behaviour, the clock, and the draw of the calls that a fault strikes."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._behaviours: dict[Provider, Behaviour] = {}
        self._calls: dict[Provider, int] = {}
        self.restore()

    def restore(self) -> JsonObject:
        """Return to the defaults: both providers well, the machine's clock."""
        self._behaviours = {provider: Behaviour() for provider in _PROVIDERS}
        self._calls = {}
        self._clock.set(None)
        return self.to_json()

    def to_json(self) -> JsonObject:
        """Return the wire form."""
        behaviours: JsonObject = {name: self._behaviours[name].to_json() for name in _PROVIDERS}
        cloudflare = self._behaviours["cloudflare"]
        behaviours["cloudflare"] = cloudflare.to_json() | {
            "free_neurons_per_day": cloudflare.free_neurons_per_day
        }
        return behaviours | {"clock": self._clock.set_to}

    def free_neurons_per_day(self) -> Decimal:
        """Return how many neurons of a UTC day Cloudflare gives away."""
        return Decimal(str(self._behaviours["cloudflare"].free_neurons_per_day))

    def merge(self, changes: JsonObject | None) -> None:
        """Change what is named and keep the rest; an invalid value changes nothing.

        Raises:
            InvalidControlError: a name is unknown or a value cannot be set.
        """
        if changes is None:
            raise InvalidControlError("the body must be a JSON object")
        unknown = changes.keys() - {*_PROVIDERS, "clock"}
        if unknown:
            raise InvalidControlError(f"unknown: {', '.join(sorted(unknown))}")
        changed: dict[Provider, Behaviour] = {
            name: _merge(self._behaviours[name], changes[name], name)
            for name in _PROVIDERS
            if name in changes
        }
        if "clock" in changes:
            self._set_clock(changes["clock"])
        self._behaviours |= changed
        for provider in changed:
            self._calls[provider] = 0

    def draw(self, provider: Provider) -> Behaviour:
        """Return how the provider behaves for its next call."""
        behaviour = self._behaviours[provider]
        before = self._calls.get(provider, 0)
        self._calls[provider] = before + 1
        struck_before = int(before * behaviour.probability + _ROUNDING)
        struck = int((before + 1) * behaviour.probability + _ROUNDING)
        return behaviour if struck > struck_before else replace(behaviour, mode=Mode.OK)

    def _set_clock(self, moment: object) -> None:
        if moment is not None and not isinstance(moment, str):
            raise InvalidControlError("clock must be an ISO 8601 moment or null")
        try:
            self._clock.set(moment)
        except ValueError as error:
            raise InvalidControlError("clock must be an ISO 8601 moment or null") from error


def _merge(behaviour: Behaviour, changes: object, provider: Provider) -> Behaviour:
    if not is_object(changes):
        raise InvalidControlError(f"{provider} must be an object")
    for name, value in changes.items():
        behaviour = _with(behaviour, name, value, provider)
    return behaviour


def _with(behaviour: Behaviour, name: str, value: object, provider: Provider) -> Behaviour:
    match name:
        case "latency_ms" if is_number(value) and value >= 0:
            return replace(behaviour, latency_ms=value)
        case "tokens_per_second" if value is None or (is_number(value) and value >= 0):
            return replace(behaviour, tokens_per_second=value)
        case "mode" if isinstance(value, str) and value in _MODES:
            return replace(behaviour, mode=Mode(value))
        case "probability" if is_number(value) and 0 <= value <= 1:
            return replace(behaviour, probability=value)
        case "after_chunks" if is_integer(value) and value >= 0:
            return replace(behaviour, after_chunks=value)
        case "free_neurons_per_day" if provider == "cloudflare" and is_number(value) and value >= 0:
            return replace(behaviour, free_neurons_per_day=value)
        case _:
            raise InvalidControlError(f"{provider}.{name} cannot be {value!r}")
