"""Reads the routing table's TOML file.

Invariant: a file with a fault anywhere yields no table at all, and the error names every fault by
file, line and key path.
"""

import re
import tomllib
from collections.abc import Iterable, Mapping
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from shared.domain.errors import RoutingTableError
from shared.domain.rate_limits import RateLimit
from shared.domain.routes import Candidate, Hedge, Route, Server
from shared.domain.routing import RoutingTable
from shared.providers.routing_faults import Fault, faults_of_names
from shared.providers.routing_parts import HedgePart, RoutePart, RoutingFile
from shared.providers.toml_lines import lines_by_key

_AT_LINE = re.compile(r" \(at line (\d+), column \d+\)")
_AT_END = " (at end of document)"
_WORDS_BY_TYPE = {
    "extra_forbidden": "unknown key; correct its name or delete it",
    "missing": "is missing; add it",
}


def load_routing_table(path: Path) -> RoutingTable:
    """Read the routing table from a TOML file.

    Raises:
        RoutingTableError: The file cannot be read, is not TOML, has wrong or unknown keys or names,
            or the table is unsound; the message has file, line and key path of every fault.
    """
    text = _text(path)
    places = _Places(path, text)
    try:
        file = RoutingFile.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise RoutingTableError(_syntax_fault(path, text, str(error))) from error
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False, include_context=False)
        raise RoutingTableError(places.told(map(places.fault, found))) from error
    if faults := list(faults_of_names(file)):
        raise RoutingTableError(places.told(faults))
    return _table(file, places.by_key)


class _Places:
    """Where each part of the file stands."""

    def __init__(self, path: Path, text: str) -> None:
        self._path = path
        self._text = text

    @property
    def by_key(self) -> Mapping[str, str]:
        """Return `FILE:LINE` by key path."""
        lines = lines_by_key(self._text)
        return MappingProxyType({key: f"{self._path}:{line}" for key, line in lines.items()})

    def told(self, faults: Iterable[Fault]) -> str:
        """Return all faults, each with its place: for what is missing, where it would stand."""
        by_key = self.by_key
        return "; ".join(
            f"{by_key.get(_nearest(by_key, key), f'{self._path}:1')}: {key}: {fault}"
            for key, fault in faults
        )

    def fault(self, found: ErrorDetails) -> Fault:
        """Return what pydantic found; its path may end in names that no file has."""
        key = ".".join(str(part) for part in found["loc"] if part != "[key]")
        words = _WORDS_BY_TYPE.get(found["type"], found["msg"].removeprefix("Value error, "))
        return (key if found["type"] == "missing" else _nearest(self.by_key, key)), words


def _nearest(by_key: Mapping[str, str], key: str) -> str:
    """Return the longest part of a key path that stands in the file."""
    while key and key not in by_key:
        key = key.rpartition(".")[0]
    return key


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RoutingTableError(f"{path}: {error}") from error


def _syntax_fault(path: Path, text: str, message: str) -> str:
    found = _AT_LINE.search(message)
    line = found[1] if found else text.count("\n") + 1
    return f"{path}:{line}: not TOML: {_AT_LINE.sub('', message).removesuffix(_AT_END)}"


def _table(file: RoutingFile, places: Mapping[str, str]) -> RoutingTable:
    by_name = {
        name: Candidate(part.provider, part.model, MappingProxyType(part.options))
        for name, part in file.candidates.items()
    }
    routes = {
        (tier, operation): _route(part, by_name)
        for tier, part_by_operation in file.routes.items()
        for operation, part in part_by_operation.items()
    }
    servers = {
        name: Server(part.base_url, part.max_tokens_field) for name, part in file.providers.items()
    }
    successors = {
        by_name[name]: by_name[part.successor]
        for name, part in file.candidates.items()
        if part.successor is not None
    }
    return RoutingTable(
        MappingProxyType(routes),
        MappingProxyType(file.aliases),
        MappingProxyType(servers),
        _limits(file),
        MappingProxyType(successors),
        places,
    )


def _limits(file: RoutingFile) -> tuple[RateLimit, ...]:
    return tuple(
        RateLimit(
            provider=part.provider,
            model=part.model,
            is_per_token=part.per_token,
            requests_per_minute=part.requests_per_minute,
            tokens_per_minute=part.tokens_per_minute,
        )
        for part in file.limits
    )


def _route(part: RoutePart, by_name: Mapping[str, Candidate]) -> Route:
    def named(names: Iterable[str]) -> tuple[Candidate, ...]:
        return tuple(by_name[name] for name in names)

    outside = part.order if part.outside_rollout is None else part.outside_rollout
    return Route(
        inside_rollout=named(part.order),
        outside_rollout=named(outside),
        on_request=named(part.on_request),
        divert=None if part.divert is None else by_name[part.divert],
        hedge=None if part.hedge is None else _hedge(part.hedge),
    )


def _hedge(part: HedgePart) -> Hedge:
    return Hedge(timedelta(milliseconds=part.after_ms), part.daily_cap_usd)
