"""The parts of the routing table's file as they are written.

Invariant: a part that was read is right by itself; whether its names lead anywhere is seen later.
"""

from decimal import Decimal
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StrictInt

from shared.domain.catalog import PROVIDER_NAME, Operation, Provider, Tier
from shared.domain.provider_calls import OptionValue
from shared.providers.json_reading import is_object


def _flat(options: object) -> object:
    """Return options with a dot for each table inside a table: `{a.b = 1}` is `{"a.b" = 1}`."""
    if not is_object(options):
        return options
    flat: dict[str, object] = {}
    for name, value in options.items():
        inner = _flat(value)
        if is_object(inner):
            flat.update({f"{name}.{key}": one for key, one in inner.items()})
        else:
            flat[name] = value
    return flat


def _exact(amount: object) -> object:
    if not isinstance(amount, str | int) or isinstance(amount, bool):
        raise ValueError('write an amount of money as a text: "5.00"')  # noqa: TRY004 - pydantic's
    return amount


def _server_address(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.port == 0:
        raise ValueError('write it as "http://HOST:PORT/v1"')
    return url


_Name = Annotated[str, Field(min_length=1)]
_ProviderName = Annotated[Provider, Field(pattern=f"^{PROVIDER_NAME.pattern}$")]
_Options = Annotated[dict[str, OptionValue], BeforeValidator(_flat)]
_Usd = Annotated[
    Decimal, BeforeValidator(_exact), Field(gt=0, le=1_000_000_000, allow_inf_nan=False)
]
_PerMinute = Annotated[StrictInt, Field(ge=1)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ServerPart(_Part):
    """A server with OpenAI's API."""

    base_url: Annotated[str, AfterValidator(_server_address)]
    max_tokens_field: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"


class CandidatePart(_Part):
    """A provider's model; `successor` names the candidate that takes over once it is retired."""

    provider: Provider
    model: _Name
    options: _Options = Field(default_factory=dict)
    successor: str | None = None


class HedgePart(_Part):
    """When the second candidate is asked beside the first, and what that may cost a day."""

    after_ms: Annotated[StrictInt, Field(ge=1, le=60_000)]
    daily_cap_usd: _Usd


class RoutePart(_Part):
    """Who answers one operation of one tier, by the candidates' names."""

    order: tuple[str, ...]
    outside_rollout: tuple[str, ...] | None = None
    on_request: tuple[str, ...] = ()
    divert: str | None = None
    hedge: HedgePart | None = None


class LimitPart(_Part):
    """How fast a provider, or one of its models, may be called."""

    provider: Provider
    model: _Name | None = None
    per_token: bool = False
    requests_per_minute: _PerMinute | None = None
    tokens_per_minute: _PerMinute | None = None


class RoutingFile(_Part):
    """The whole file."""

    providers: dict[_ProviderName, ServerPart] = Field(default_factory=dict)
    candidates: dict[str, CandidatePart]
    routes: dict[Tier, dict[Operation, RoutePart]]
    aliases: dict[str, str] = Field(default_factory=dict)
    limits: tuple[LimitPart, ...] = ()

    def routed_names(self, operation: Operation) -> list[tuple[str, str]]:
        """Return every name of a candidate in the routes of an operation, with its key path."""
        return [
            (f"routes.{tier}.{operation}.{key}", name)
            for tier, part_by_operation in self.routes.items()
            if (part := part_by_operation.get(operation)) is not None
            for key, name in _names(part)
        ]


def _names(part: RoutePart) -> list[tuple[str, str]]:
    lists = {
        "order": part.order,
        "outside_rollout": part.outside_rollout or (),
        "on_request": part.on_request,
    }
    named = [(f"{key}.{at}", one) for key, names in lists.items() for at, one in enumerate(names)]
    return named if part.divert is None else [*named, ("divert", part.divert)]
