"""A provider's settings as they were given, for all its models and for single ones.

Invariant: a model's settings are its provider's, but for those that were set for the model.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from simulator.behaviour import (
    DEFAULTS_BY_PROVIDER,
    OF_THE_ACCOUNT,
    InvalidControlError,
    Provider,
    unfit,
)
from simulator.json_values import JsonObject, is_object

_LIMITS = frozenset({"requests_per_minute", "tokens_per_minute"})


@dataclass(frozen=True, slots=True)
class ProviderSettings:
    """Complete settings of a provider, and what differs for its models."""

    provider: Provider
    own: JsonObject
    by_model: dict[str, JsonObject] = field(default_factory=dict[str, JsonObject])

    def changed(self, changes: object) -> "ProviderSettings":
        """Return the settings with what is named changed; a model set to null is forgotten.

        Raises:
            InvalidControlError: a name is unknown.
        """
        if not is_object(changes):
            raise InvalidControlError(f"{self.provider} must be an object")
        own = {name: value for name, value in changes.items() if name != "models"}
        _check_names(self.provider, own, DEFAULTS_BY_PROVIDER[self.provider])
        models = changes.get("models", {})
        if not is_object(models):
            raise unfit(self.provider, "models", models)
        by_model = {model: self._merged(model, change) for model, change in models.items()}
        together = self.by_model | by_model
        kept = {model: settings for model, settings in together.items() if settings}
        return ProviderSettings(self.provider, self.own | own, kept)

    def of_model(self, model: str) -> JsonObject:
        """Return the complete settings of a model."""
        return self.own | self.by_model[model]

    def has_own_limit(self, model: str) -> bool:
        """Tell whether a model's calls are held to a limit of their own."""
        return bool(_LIMITS & self.by_model.get(model, {}).keys())

    def to_json(self) -> JsonObject:
        """Return the wire form."""
        return self.own | {"models": self.by_model}

    def _merged(self, model: str, changes: object) -> JsonObject:
        if changes is None:
            return {}
        if not is_object(changes):
            raise unfit(f"{self.provider}.models", model, changes)
        known = DEFAULTS_BY_PROVIDER[self.provider].keys() - OF_THE_ACCOUNT
        _check_names(f"{self.provider}.models.{model}", changes, known)
        return self.by_model.get(model, {}) | changes


def default_settings(provider: Provider) -> ProviderSettings:
    """Return the settings of a provider that is well."""
    return ProviderSettings(provider, dict(DEFAULTS_BY_PROVIDER[provider]))


def _check_names(where: str, settings: JsonObject, known: Iterable[str]) -> None:
    for name in settings.keys() - set(known):
        raise unfit(where, name, settings[name])
