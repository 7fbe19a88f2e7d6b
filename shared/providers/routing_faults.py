"""Whether the names in the routing table's file lead anywhere.

Invariant: a file without a fault here becomes a table without looking anything up in vain.
"""

from collections.abc import Iterable, Iterator

from shared.domain.catalog import CLOUDFLARE, OPENAI, Operation, Provider
from shared.domain.embedding_space import space_of
from shared.providers.routing_parts import LimitPart, RoutingFile

_BUILT_IN = {CLOUDFLARE: "CLOUDFLARE_AI_GATEWAY_URL", OPENAI: "OPENAI_BASE_URL"}

Fault = tuple[str, str]
"""A key path and what is wrong there."""


def faults_of_names(file: RoutingFile) -> Iterator[Fault]:
    """Yield every name that leads nowhere, or to something of another kind."""
    yield from _provider_faults(file)
    for operation in Operation:
        for key, name in file.routed_names(operation):
            if name not in file.candidates:
                yield key, _no_candidate(name)
    yield from _successor_faults(file)
    yield from _space_faults(file)
    for number, limit in enumerate(file.limits):
        yield from ((f"limits.{number}{key}", fault) for key, fault in _limit_faults(file, limit))


def _provider_faults(file: RoutingFile) -> Iterator[Fault]:
    for provider in file.providers:
        if provider in _BUILT_IN:
            yield f"providers.{provider}", f"is built in; {_BUILT_IN[provider]} says where it is"
    for name, part in file.candidates.items():
        if fault := _unknown_provider(file, part.provider):
            yield f"candidates.{name}.provider", fault


def _unknown_provider(file: RoutingFile, provider: Provider) -> str | None:
    known = (*_BUILT_IN, *file.providers)
    if provider in known:
        return None
    return f"no provider {provider}; name one of {', '.join(known)}, or add [providers.{provider}]"


def _successor_faults(file: RoutingFile) -> Iterator[Fault]:
    for name, part in file.candidates.items():
        key, successor = f"candidates.{name}.successor", part.successor
        if successor is None:
            continue
        if successor not in file.candidates:
            yield key, _no_candidate(successor)
        elif name in _followers(file, name):
            yield key, "leads back to the candidate itself; end the circle"
        elif _answer_different(file, name, successor):
            yield key, f"{successor} does not answer what {name} answers; name another"


def _followers(file: RoutingFile, name: str) -> list[str]:
    """Return who takes over from a candidate, from whom takes over, and so on."""
    followers: list[str] = []
    part = file.candidates.get(name)
    while part is not None and part.successor is not None and part.successor not in followers:
        followers.append(part.successor)
        part = file.candidates.get(part.successor)
    return followers


def _answer_different(file: RoutingFile, name: str, successor: str) -> bool:
    first, second = _operations(file, name), _operations(file, successor)
    return bool(first and second and not first & second)


def _operations(file: RoutingFile, name: str) -> set[Operation]:
    return {
        operation
        for operation in Operation
        if any(name == routed for _, routed in file.routed_names(operation))
    }


def _space_faults(file: RoutingFile) -> Iterator[Fault]:
    for key, name in file.routed_names(Operation.EMBED):
        for one in (name, *_followers(file, name)):
            part = file.candidates.get(one)
            if part is not None and not _has_space(part.provider, part.model):
                yield key, f"no embedding space is declared for {part.provider}/{part.model}"


def _has_space(provider: Provider, model: str) -> bool:
    try:
        space_of(provider, model)
    except KeyError:
        return False
    return True


def _limit_faults(file: RoutingFile, limit: LimitPart) -> Iterable[Fault]:
    if fault := _unknown_provider(file, limit.provider):
        yield ".provider", fault
    elif limit.model is not None and not any(
        (part.provider, part.model) == (limit.provider, limit.model)
        for part in file.candidates.values()
    ):
        yield ".model", f"no candidate is {limit.provider}/{limit.model}; correct it or delete it"
    if limit.requests_per_minute is None and limit.tokens_per_minute is None:
        yield "", "limits nothing; add requests_per_minute or tokens_per_minute"


def _no_candidate(name: str) -> str:
    return f"no [candidates.{name}] in the file"
