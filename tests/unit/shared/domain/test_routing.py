from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from shared.domain.catalog import CLOUDFLARE, OPENAI, Operation, Tier
from shared.domain.errors import RoutingTableError, UnknownModelError
from shared.domain.pricing import ModelKind, PriceBook, PriceRow
from shared.domain.routes import Candidate, Hedge, Route
from shared.domain.routing import (
    AUTO,
    RoutingTable,
    candidates,
    check_prices,
    hedge_caps,
    models_on_offer,
    routed,
)

LLAMA = Candidate(CLOUDFLARE, "llama")
LUNA = Candidate(OPENAI, "luna", {"reasoning_effort": "none"})
SOL = Candidate(OPENAI, "sol")
BGE = Candidate(CLOUDFLARE, "bge")
SMALL = Candidate(OPENAI, "small")
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def route(*order: Candidate, on_request: tuple[Candidate, ...] = ()) -> Route:
    return Route(inside_rollout=order, outside_rollout=order, on_request=on_request)


ROUTES: Mapping[tuple[Tier, Operation], Route] = {
    (Tier.FREE, Operation.CHAT): Route(inside_rollout=(LLAMA, LUNA), outside_rollout=(LUNA, LLAMA)),
    (Tier.PAID, Operation.CHAT): route(LLAMA, LUNA),
    (Tier.PREMIUM, Operation.CHAT): route(LLAMA, LUNA, on_request=(SOL,)),
} | {(tier, Operation.EMBED): route(BGE, SMALL) for tier in Tier}
TABLE = RoutingTable(ROUTES, {"premium": "sol", "gpt-4": "sol", "gpt-3.5-turbo": "luna"})


def chat(tier: Tier, model: str, *, in_rollout: bool = True) -> tuple[Candidate, ...]:
    return candidates(TABLE, tier, Operation.CHAT, model, in_rollout=in_rollout)


def price(candidate: Candidate, kind: ModelKind) -> PriceRow:
    return PriceRow(
        provider=candidate.provider,
        model=candidate.model,
        kind=kind,
        input_usd_per_million=Decimal(1),
        output_usd_per_million=Decimal(1),
    )


def test_free_users_inside_the_rollout_go_to_cloudflare_first() -> None:
    assert chat(Tier.FREE, AUTO) == (LLAMA, LUNA)


def test_free_users_outside_the_rollout_go_to_openai_first() -> None:
    assert chat(Tier.FREE, AUTO, in_rollout=False) == (LUNA, LLAMA)


def test_paid_users_go_to_cloudflare_first_whatever_the_rollout() -> None:
    assert chat(Tier.PAID, AUTO, in_rollout=False) == (LLAMA, LUNA)


def test_premium_users_are_routed_as_paid_ones_unless_they_ask() -> None:
    assert chat(Tier.PREMIUM, AUTO) == chat(Tier.PAID, AUTO)


@pytest.mark.parametrize("name", ["sol", "premium", "gpt-4"])
def test_premium_users_get_the_premium_model_when_they_ask(name: str) -> None:
    assert chat(Tier.PREMIUM, name) == (SOL, LLAMA, LUNA)


def test_a_model_asked_for_comes_first_and_once() -> None:
    assert chat(Tier.PAID, "gpt-3.5-turbo") == (LUNA, LLAMA)


def test_an_embedding_model_asked_for_has_no_fallback() -> None:
    asked = candidates(TABLE, Tier.PAID, Operation.EMBED, "small", in_rollout=True)
    usual = candidates(TABLE, Tier.PAID, Operation.EMBED, AUTO, in_rollout=True)

    assert asked == (SMALL,)
    assert usual == (BGE, SMALL)


def test_a_model_of_a_higher_tier_is_refused_with_the_list_of_what_is_offered() -> None:
    with pytest.raises(UnknownModelError, match=r"'gpt-4'.*tier free.*: auto, llama, luna, gpt-3"):
        chat(Tier.FREE, "gpt-4")


def test_what_is_offered_depends_on_the_tier() -> None:
    offered = models_on_offer(TABLE, Tier.PREMIUM, Operation.CHAT)

    assert offered == (AUTO, "llama", "luna", "sol", "premium", "gpt-4", "gpt-3.5-turbo")


def test_every_candidate_is_listed_once() -> None:
    assert set(routed(TABLE)) == {LLAMA, LUNA, SOL, BGE, SMALL}
    assert len(routed(TABLE)) == 5


def test_a_missing_route_is_named() -> None:
    fewer = {key: value for key, value in ROUTES.items() if key != (Tier.PAID, Operation.EMBED)}

    with pytest.raises(RoutingTableError, match=r"routes\.paid\.embed: is missing"):
        RoutingTable(fewer)


@pytest.mark.parametrize(
    ("broken", "fault"),
    [
        (route(), "has no candidate"),
        (route(LLAMA, LLAMA), "names a candidate twice"),
        (
            Route(
                inside_rollout=(LUNA,),
                outside_rollout=(Candidate(OPENAI, "luna"),),
            ),
            "share a model name",
        ),
    ],
)
def test_an_unsound_route_is_named(broken: Route, fault: str) -> None:
    with pytest.raises(RoutingTableError, match=rf"routes\.free\.chat: .*{fault}"):
        RoutingTable({**ROUTES, (Tier.FREE, Operation.CHAT): broken})


@pytest.mark.parametrize(
    ("alias", "model", "fault"),
    [
        ("auto", "sol", r"aliases\.auto: is a model's own name"),
        ("luna", "sol", r"aliases\.luna: is a model's own name"),
        ("gpt-4", "gone", r"aliases\.gpt-4: no route names the model gone"),
    ],
)
def test_an_unsound_alias_is_named(alias: str, model: str, fault: str) -> None:
    with pytest.raises(RoutingTableError, match=fault):
        RoutingTable(ROUTES, {alias: model})


def test_a_table_whose_models_are_all_priced_passes() -> None:
    chats = [price(candidate, ModelKind.CHAT) for candidate in (LLAMA, LUNA, SOL)]
    embeddings = [price(candidate, ModelKind.EMBEDDING) for candidate in (BGE, SMALL)]

    check_prices(TABLE, PriceBook(chats + embeddings), NOON)


def test_every_unpriced_or_misplaced_candidate_is_named() -> None:
    book = PriceBook([price(candidate, ModelKind.CHAT) for candidate in (LLAMA, LUNA, BGE, SMALL)])

    with pytest.raises(RoutingTableError) as caught:
        check_prices(TABLE, book, NOON)

    assert "routes.premium.chat: no price for openai/sol" in str(caught.value)
    assert "routes.free.embed: cloudflare/bge is priced as chat" in str(caught.value)


def test_the_caps_of_hedged_routes_are_known_by_tier() -> None:
    hedged = replace(ROUTES[Tier.PAID, Operation.CHAT], hedge=Hedge(timedelta(1), Decimal(5)))
    assert hedge_caps(TABLE) == {}
    table = RoutingTable({**ROUTES, (Tier.PAID, Operation.CHAT): hedged})
    assert hedge_caps(table) == {Tier.PAID: Decimal(5)}
