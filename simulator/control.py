"""What can be set from outside: how providers and single models behave, and the clock.

Invariant: a change that holds an invalid value changes nothing; what was changed starts anew with
its first call, and everything else goes on.
"""

from collections.abc import Collection, Mapping
from decimal import Decimal

from simulator.behaviour import (
    PROVIDERS,
    Behaviour,
    InvalidControlError,
    Plan,
    Provider,
    read_behaviour,
)
from simulator.clock import Clock
from simulator.conduct import Conduct, Course
from simulator.json_values import JsonObject
from simulator.settings import ProviderSettings, default_settings

# Cloudflare's pricing page, 2026-08-28.
_FREE_NEURONS_PER_DAY = Decimal(10_000)
_NO_ERRORS: Mapping[Provider, Collection[str]] = {}


class Courses:
    """How a provider's calls are treated, model by model."""

    def __init__(self, settings: ProviderSettings, errors: Collection[str]) -> None:
        self.settings = settings
        provider = settings.provider
        self._of_all = Course(read_behaviour(settings.own, errors, provider))
        self._by_model = {
            model: Course(
                read_behaviour(settings.of_model(model), errors, f"{provider}.models.{model}")
            )
            for model in settings.by_model
        }

    @property
    def behaviour(self) -> Behaviour:
        """The provider's own behaviour."""
        return self._of_all.behaviour

    def of(self, model: str) -> Course:
        """Return the course of a model's calls."""
        return self._by_model.get(model, self._of_all)

    def pool(self, model: str) -> str:
        """Return the name of the pool that a model's calls are taken from."""
        provider = self.settings.provider
        return f"{provider}:{model}" if self.settings.has_own_limit(model) else provider


class Controls:
    """Both providers' courses, and the clock.

    Args:
        clock: The time that models and days go by.
        errors: The names of the errors that each provider can answer with.
    """

    def __init__(
        self, clock: Clock, errors: Mapping[Provider, Collection[str]] = _NO_ERRORS
    ) -> None:
        self._clock = clock
        self._errors = errors
        self._courses: dict[Provider, Courses] = {}
        self.restore()

    def restore(self) -> JsonObject:
        """Return to the defaults: both providers well, the machine's clock."""
        self._courses = {name: self._course(default_settings(name)) for name in PROVIDERS}
        self._clock.set(None)
        return self.to_json()

    def to_json(self) -> JsonObject:
        """Return the wire form."""
        shown: JsonObject = {name: self._courses[name].settings.to_json() for name in PROVIDERS}
        return shown | {"clock": self._clock.set_to}

    def of(self, provider: Provider) -> Courses:
        """Return how a provider's calls are treated."""
        return self._courses[provider]

    def draw(self, provider: Provider, model: str = "") -> Conduct:
        """Return how the next call of a model is treated."""
        return self._courses[provider].of(model).next()

    def free_neurons_per_day(self) -> Decimal:
        """Return how many neurons of a UTC day Cloudflare gives away."""
        behaviour = self._courses["cloudflare"].behaviour
        if behaviour.plan is Plan.FREE and not behaviour.free_neurons_per_day:
            return _FREE_NEURONS_PER_DAY
        return Decimal(str(behaviour.free_neurons_per_day))

    def merge(self, changes: JsonObject | None) -> None:
        """Change what is named and keep the rest; an invalid value changes nothing.

        Raises:
            InvalidControlError: a name is unknown or a value cannot be set.
        """
        if changes is None:
            raise InvalidControlError("the body must be a JSON object")
        unknown = changes.keys() - {*PROVIDERS, "clock"}
        if unknown:
            raise InvalidControlError(f"unknown: {', '.join(sorted(unknown))}")
        changed: dict[Provider, Courses] = {
            name: self._course(self._courses[name].settings.changed(changes[name]))
            for name in PROVIDERS
            if name in changes
        }
        if "clock" in changes:
            self._set_clock(changes["clock"])
        self._courses |= changed

    def _course(self, settings: ProviderSettings) -> Courses:
        return Courses(settings, self._errors.get(settings.provider, ()))

    def _set_clock(self, moment: object) -> None:
        if moment is not None and not isinstance(moment, str):
            raise InvalidControlError("clock must be an ISO 8601 moment or null")
        try:
            self._clock.set(moment)
        except ValueError as error:
            raise InvalidControlError("clock must be an ISO 8601 moment or null") from error
