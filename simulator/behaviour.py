"""How a provider, or one of its models, is set to behave.

Invariant: settings stay as they were given; a `Behaviour` is what they mean, and only valid ones
have one.
"""

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, TypeVar

from simulator.json_values import JsonObject, is_integer, is_number
from simulator.rate_limit import RateLimit
from simulator.spread import Amount, read_amount

Provider = Literal["cloudflare", "openai"]
Chosen = TypeVar("Chosen", bound=StrEnum)
PROVIDERS: tuple[Provider, ...] = ("cloudflare", "openai")


class Mode(StrEnum):
    """What is wrong with a provider."""

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
    ERROR = "error"
    ERROR_IN_STREAM = "error_in_stream"
    RESET = "reset"
    SILENT = "silent"
    SLOW = "slow"


_DEFAULTS: JsonObject = {
    "latency_ms": 0,
    "tokens_per_second": None,
    "mode": "ok",
    "probability": 1.0,
    "after_chunks": 3,
    "error": None,
    "seed": 0,
    "requests_per_minute": None,
    "tokens_per_minute": None,
}
_ONLY_CLOUDFLARE: JsonObject = {"queue_ms": 200, "free_neurons_per_day": 0, "plan": "paid"}
DEFAULTS_BY_PROVIDER: dict[Provider, JsonObject] = {
    "cloudflare": _DEFAULTS | _ONLY_CLOUDFLARE,
    "openai": _DEFAULTS,
}
OF_THE_ACCOUNT = frozenset({"free_neurons_per_day", "plan"})


class Plan(StrEnum):
    """What the account pays for: without `paid`, the free neurons are all there are."""

    FREE = "free"
    PAID = "paid"


class InvalidControlError(ValueError):
    """A control value that cannot be set."""


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What settings mean.

    Attributes:
        latency_ms: Before an answer begins.
        tokens_per_second: 0 for no limit.
        mode: What strikes.
        probability: The share of calls that it strikes.
        after_chunks: How many chunks of a stream come before it breaks.
        error: The name of the error that the modes `error` and `error_in_stream` answer with.
        seed: Where the draws of spread amounts begin.
        limit: What a minute may hold; None for any number.
        queue_ms: How long a call waits for capacity.
        free_neurons_per_day: How many neurons of a UTC day are given away.
        plan: What the account pays for.
    """

    latency_ms: Amount
    tokens_per_second: Amount
    mode: Mode
    probability: float
    after_chunks: int
    error: str | None
    seed: int
    limit: RateLimit | None
    queue_ms: float
    free_neurons_per_day: float
    plan: Plan


def read_behaviour(settings: JsonObject, errors: Collection[str], where: str) -> Behaviour:
    """Return what complete settings mean; `errors` are the names of those the provider has.

    Raises:
        InvalidControlError: a value cannot be set.
    """
    reader = _Reader(settings, where)
    limit = RateLimit(reader.limit("requests_per_minute"), reader.limit("tokens_per_minute"))
    return Behaviour(
        latency_ms=reader.amount("latency_ms"),
        tokens_per_second=reader.amount_or_none("tokens_per_second") or 0,
        mode=reader.choice("mode", Mode),
        probability=reader.number("probability", most=1),
        after_chunks=reader.count("after_chunks"),
        error=reader.name("error", errors),
        seed=reader.integer("seed"),
        limit=limit if limit.requests or limit.tokens else None,
        queue_ms=reader.number("queue_ms"),
        free_neurons_per_day=reader.number("free_neurons_per_day"),
        plan=reader.choice("plan", Plan),
    )


class _Reader:
    """Reads values by name; an unfit one is an `InvalidControlError` that says where."""

    def __init__(self, settings: JsonObject, where: str) -> None:
        self._settings = settings
        self._where = where

    def amount(self, name: str) -> Amount:
        """Return a number or a spread."""
        try:
            return read_amount(self._settings[name])
        except ValueError as error:
            raise self._unfit(name) from error

    def amount_or_none(self, name: str) -> Amount | None:
        """Return a number, a spread or None."""
        return None if self._settings[name] is None else self.amount(name)

    def number(self, name: str, *, most: float = float("inf")) -> float:
        """Return a number of at least 0; 0 if the provider has no such setting."""
        value = self._settings.get(name, 0)
        if not is_number(value) or not 0 <= value <= most:
            raise self._unfit(name)
        return value

    def integer(self, name: str) -> int:
        """Return an integer."""
        value = self._settings[name]
        if not is_integer(value):
            raise self._unfit(name)
        return value

    def count(self, name: str) -> int:
        """Return an integer of at least 0."""
        value = self.integer(name)
        if value < 0:
            raise self._unfit(name)
        return value

    def limit(self, name: str) -> int | None:
        """Return a positive integer, or None for no limit."""
        return None if self._settings[name] is None else self.count(name) or None

    def choice(self, name: str, choices: type[Chosen]) -> Chosen:
        """Return a member of an enumeration; its default if the provider has no such setting."""
        value = self._settings.get(name, Plan.PAID)
        chosen = next((choice for choice in choices if choice.value == value), None)
        if chosen is None:
            raise self._unfit(name)
        return chosen

    def name(self, name: str, known: Collection[str]) -> str | None:
        """Return one of the known names, which may be given as a number, or None."""
        value = self._settings[name]
        if value is not None and (isinstance(value, bool) or str(value) not in known):
            raise self._unfit(name)
        return None if value is None else str(value)

    def _unfit(self, name: str) -> InvalidControlError:
        return unfit(self._where, name, self._settings[name])


def unfit(where: str, name: str, value: object) -> InvalidControlError:
    """Return the refusal of a setting."""
    return InvalidControlError(f"{where}.{name} cannot be {value!r}")
