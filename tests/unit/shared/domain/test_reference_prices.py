from datetime import date
from decimal import Decimal
from pathlib import Path

from shared.domain.catalog import CLOUDFLARE, OPENAI, Operation, Tier
from shared.domain.pricing import ModelKind, PriceBook, PriceRow
from shared.domain.reference_prices import reference_prices
from shared.domain.routes import Candidate, Route
from shared.domain.routing import RoutingTable
from shared.providers.price_files import load_price_book
from shared.providers.routing_file import load_routing_table

_OPENAI = Candidate(OPENAI, "luna")
_CLOUDFLARE = Candidate(CLOUDFLARE, "llama")
_LATER = date(2026, 11, 1)


def _row(dollars: int, first_day: date | None = None) -> PriceRow:
    return PriceRow(
        provider=OPENAI,
        model="luna",
        kind=ModelKind.CHAT,
        input_usd_per_million=Decimal(dollars),
        output_usd_per_million=Decimal(2 * dollars),
        effective_from=first_day,
    )


def _table(*chat: Candidate) -> RoutingTable:
    routes = {
        (tier, operation): Route(inside_rollout=chat, outside_rollout=chat)
        for tier in Tier
        for operation in Operation
    }
    return RoutingTable(routes)


def test_a_price_holds_until_the_next() -> None:
    prices = reference_prices(_table(_CLOUDFLARE, _OPENAI), PriceBook([_row(5, _LATER), _row(3)]))
    free_chat = [p for p in prices if (p.tier, p.operation) == (Tier.FREE, Operation.CHAT)]
    assert [(p.first_day, p.end, p.input_usd_per_million) for p in free_chat] == [
        (None, _LATER, Decimal(3)),
        (_LATER, None, Decimal(5)),
    ]


def test_a_route_without_openai_is_compared_with_nothing() -> None:
    assert reference_prices(_table(_CLOUDFLARE), PriceBook([_row(3)])) == []


def test_every_route_of_ours_has_its_price() -> None:
    table = load_routing_table(Path("deploy/routing.toml"))
    prices = reference_prices(table, load_price_book(Path("prices")))
    assert {(p.tier, p.operation) for p in prices} == {(t, o) for t in Tier for o in Operation}
