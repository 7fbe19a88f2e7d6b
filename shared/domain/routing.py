"""Which provider and model answer a job: ordered candidates per tier and operation.

Invariant: a table that was built has, for every tier and operation, at least one candidate, and
every name in it leads to a model.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from types import MappingProxyType

from shared.domain.catalog import Operation, Provider, Tier
from shared.domain.errors import RoutingTableError, UnknownModelError, UnknownPriceError
from shared.domain.pricing import ModelKind, PriceBook, PriceRow, as_called
from shared.domain.rate_limits import RateLimit
from shared.domain.routes import Candidate, Route, Server

_FEWEST_TO_HEDGE = 2
AUTO = "auto"
"""The model name that leaves the choice to the table."""

_KIND_BY_OPERATION: Mapping[Operation, ModelKind] = {
    Operation.CHAT: ModelKind.CHAT,
    Operation.EMBED: ModelKind.EMBEDDING,
}


@dataclass(frozen=True, slots=True)
class RoutingTable:
    """All routes, and the other names that models go by.

    Attributes:
        routes: One per tier and operation.
        aliases: Model name by alias: retired models and `premium`.
        servers: Each server with OpenAI's API that is a provider of its own.
        limits: How fast providers may be called.
        successors: Who takes over from a candidate whose model is retired.
        places: Where each part was read, by its key path; messages name it.

    Raises:
        RoutingTableError: A route is missing, empty or names a model twice, is hedged without a
            second candidate, or an alias hides a model or leads to none; the message names all.
    """

    routes: Mapping[tuple[Tier, Operation], Route]
    aliases: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    servers: Mapping[Provider, Server] = field(default_factory=lambda: MappingProxyType({}))
    limits: tuple[RateLimit, ...] = ()
    successors: Mapping[Candidate, Candidate] = field(default_factory=lambda: MappingProxyType({}))
    places: Mapping[str, str] = field(
        default_factory=lambda: MappingProxyType({}), compare=False, repr=False
    )

    def __post_init__(self) -> None:
        if faults := [f"{self.place_of(key)}{key}: {fault}" for key, fault in _table_faults(self)]:
            raise RoutingTableError("; ".join(faults))

    def place_of(self, key: str) -> str:
        """Return where a part, or what it belongs to, was read, ready to be put before it."""
        while key not in self.places:
            key, _, last = key.rpartition(".")
            if not last:
                return ""
        return f"{self.places[key]}: "


def routed(table: RoutingTable) -> tuple[Candidate, ...]:
    """Return every candidate of the table once."""
    every = (candidate for route in table.routes.values() for candidate in route.every_candidate)
    return tuple(dict.fromkeys((*every, *table.successors.values())))


def with_successors(table: RoutingTable, candidates: Iterable[Candidate]) -> tuple[Candidate, ...]:
    """Return the candidates and everybody who may take over from them, each once."""
    found = dict.fromkeys(candidates)
    pending = list(found)
    while pending:
        successor = table.successors.get(pending.pop())
        if successor is not None and successor not in found:
            found[successor] = None
            pending.append(successor)
    return tuple(found)


def providers_of(table: RoutingTable) -> frozenset[Provider]:
    """Return every provider that a route may lead to."""
    return frozenset(candidate.provider for candidate in routed(table))


def decided_by_rollout(table: RoutingTable) -> Sequence[tuple[Tier, Operation]]:
    """Return the routes that differ for users inside the rollout; the others tell nothing of it."""
    return [
        key for key, route in table.routes.items() if route.inside_rollout != route.outside_rollout
    ]


def hedge_caps(table: RoutingTable) -> Mapping[Tier, Decimal]:
    """Return what second requests may cost a UTC day, for each tier whose chats have any."""
    return {
        tier: route.hedge.daily_cap_usd
        for (tier, _), route in table.routes.items()
        if route.hedge is not None
    }


def candidates(
    table: RoutingTable, tier: Tier, operation: Operation, model: str, *, in_rollout: bool
) -> tuple[Candidate, ...]:
    """Return who may answer, in the order to try; never empty.

    A model that was asked for comes first and, for chat, the tier's usual order follows as its
    fallback. For embeddings nothing follows: another model's vectors are not comparable.

    Args:
        table: The routing table.
        tier: The caller's tier.
        operation: What is asked.
        model: `auto`, a model's name or an alias.
        in_rollout: Whether the caller is inside the rollout.

    Raises:
        UnknownModelError: The tier may not ask for this model; the message lists what it may.
    """
    route = table.routes[tier, operation]
    usual = route.inside_rollout if in_rollout else route.outside_rollout
    if model == AUTO:
        return usual
    asked_for = _asked_for(table, tier, operation, model)
    if operation is Operation.EMBED:
        return (asked_for,)
    return (asked_for, *(candidate for candidate in usual if candidate != asked_for))


def models_on_offer(table: RoutingTable, tier: Tier, operation: Operation) -> tuple[str, ...]:
    """Return the names a caller may ask for: `auto`, the models, then aliases that lead to them."""
    models = [c.model for c in table.routes[tier, operation].every_candidate]
    aliases = [alias for alias, model in table.aliases.items() if model in models]
    return (AUTO, *models, *aliases)


def price_of(book: PriceBook, candidate: Candidate, at: datetime) -> PriceRow:
    """Return the price of a candidate's calls at `at`, as its options change it.

    Raises:
        UnknownPriceError: Nothing says what such a call costs.
    """
    return as_called(book.price_at(candidate.provider, candidate.model, at), candidate.options)


def check_prices(table: RoutingTable, book: PriceBook, at: datetime) -> None:
    """Make sure that every candidate's price is known at `at`, before any job depends on it.

    Raises:
        RoutingTableError: Candidates lack a price or are of another kind than their operation;
            the message names all of them.
    """
    faults = [
        f"{table.place_of(key)}{key}: {fault}"
        for (tier, operation), route in table.routes.items()
        for candidate in with_successors(table, route.every_candidate)
        for key in (f"routes.{tier}.{operation}",)
        for fault in _price_faults(operation, candidate, book, at)
    ]
    if faults:
        raise RoutingTableError("; ".join(faults))


def _asked_for(table: RoutingTable, tier: Tier, operation: Operation, model: str) -> Candidate:
    name = table.aliases.get(model, model)
    for candidate in table.routes[tier, operation].every_candidate:
        if candidate.model == name:
            return candidate
    raise UnknownModelError(
        f"model {model!r} is not offered to tier {tier} for {operation}; "
        f"ask for one of: {', '.join(models_on_offer(table, tier, operation))}"
    )


def _price_faults(
    operation: Operation, candidate: Candidate, book: PriceBook, at: datetime
) -> Iterable[str]:
    try:
        row = price_of(book, candidate, at)
    except UnknownPriceError as error:
        yield str(error)
        return
    if row.kind is not _KIND_BY_OPERATION[operation]:
        yield f"{candidate} is priced as {row.kind}, not for {operation}"


def _table_faults(table: RoutingTable) -> Iterable[tuple[str, str]]:
    """Yield what is wrong with a table, each with its key path."""
    for tier in Tier:
        for operation in Operation:
            key, route = f"routes.{tier}.{operation}", table.routes.get((tier, operation))
            if route is None:
                yield key, "is missing; add the route"
            else:
                yield from ((key, fault) for fault in _route_faults(operation, route))
    yield from _alias_faults(table)


def _route_faults(operation: Operation, route: Route) -> Iterable[str]:
    for order in (route.inside_rollout, route.outside_rollout):
        if not order:
            yield "has no candidate; name at least one"
        if len(set(order)) < len(order):
            yield "names a candidate twice; delete one"
        if route.hedge is not None and len(order) < _FEWEST_TO_HEDGE:
            yield "has no second candidate to hedge with; name one, or delete hedge"
    models = [candidate.model for candidate in route.every_candidate]
    if len(set(models)) < len(models):
        yield "two candidates share a model name; keep one"
    if operation is Operation.EMBED and (route.hedge or route.divert):
        yield "only chats are diverted and hedged; delete divert and hedge"


def _alias_faults(table: RoutingTable) -> Iterable[tuple[str, str]]:
    models = {candidate.model for candidate in routed(table)}
    for alias, model in table.aliases.items():
        if alias == AUTO or alias in models:
            yield f"aliases.{alias}", "is a model's own name; choose another"
        elif model not in models:
            yield f"aliases.{alias}", f"no route names the model {model}"
