"""Reads the routing table's TOML file.

Invariant: a file with a fault anywhere yields no table at all, and the error names the key.
"""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from shared.domain.catalog import CLOUDFLARE, OPENAI, Operation, Provider, Tier
from shared.domain.errors import RoutingTableError
from shared.domain.provider_calls import OptionValue
from shared.domain.routing import Candidate, Route, RoutingTable


class _FilePart(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class _CandidatePart(_FilePart):
    provider: Provider
    model: str = Field(min_length=1)
    options: dict[str, OptionValue] = Field(default_factory=dict)


class _RoutePart(_FilePart):
    order: tuple[str, ...]
    outside_rollout: tuple[str, ...] | None = None
    on_request: tuple[str, ...] = ()


class _RoutingFile(_FilePart):
    candidates: dict[str, _CandidatePart]
    routes: dict[Tier, dict[Operation, _RoutePart]]
    aliases: dict[str, str] = Field(default_factory=dict)


def load_routing_table(path: Path) -> RoutingTable:
    """Read the routing table from a TOML file.

    Raises:
        RoutingTableError: The file cannot be read, is not TOML (the message has line and column),
            has a wrong or unknown key (the message has its path), or the table is unsound.
    """
    try:
        content = _parse(path)
        return _table(content)
    except RoutingTableError as error:
        raise RoutingTableError(f"routing table {path}: {error}") from error


def _parse(path: Path) -> _RoutingFile:
    try:
        return _RoutingFile.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except ValidationError as error:
        fault = error.errors()[0]
        key = ".".join(str(part) for part in fault["loc"])
        raise RoutingTableError(f"{key}: {fault['msg']}") from error
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise RoutingTableError(str(error)) from error


def _table(content: _RoutingFile) -> RoutingTable:
    candidate_by_name = {name: _candidate(name, part) for name, part in content.candidates.items()}
    routes = {
        (tier, operation): _route(f"routes.{tier}.{operation}", part, candidate_by_name)
        for tier, part_by_operation in content.routes.items()
        for operation, part in part_by_operation.items()
    }
    return RoutingTable(MappingProxyType(routes), MappingProxyType(content.aliases))


def _candidate(name: str, part: _CandidatePart) -> Candidate:
    if part.provider not in (CLOUDFLARE, OPENAI):
        raise RoutingTableError(
            f"candidates.{name}.provider: no provider {part.provider}; it is one of "
            f"{CLOUDFLARE}, {OPENAI}"
        )
    return Candidate(part.provider, part.model, MappingProxyType(part.options))


def _route(place: str, part: _RoutePart, candidate_by_name: Mapping[str, Candidate]) -> Route:
    def named(key: str, names: tuple[str, ...]) -> tuple[Candidate, ...]:
        for name in names:
            if name not in candidate_by_name:
                raise RoutingTableError(f"{place}.{key}: no [candidates.{name}] in the file")
        return tuple(candidate_by_name[name] for name in names)

    outside = part.order if part.outside_rollout is None else part.outside_rollout
    return Route(
        inside_rollout=named("order", part.order),
        outside_rollout=named("outside_rollout", outside),
        on_request=named("on_request", part.on_request),
    )
