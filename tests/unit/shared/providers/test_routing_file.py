"""The routing table that ships, and what a file may say."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from shared.domain.catalog import CLOUDFLARE, OPENAI, Operation, Provider, Tier
from shared.domain.errors import RoutingTableError
from shared.domain.rate_limits import RateLimit
from shared.domain.routes import Candidate, Hedge, Server
from shared.domain.routing import AUTO, RoutingTable, candidates, check_prices, providers_of
from shared.providers.price_files import load_price_book
from shared.providers.routing_file import load_routing_table

ROOT = Path(__file__).parents[4]
SHIPPED = ROOT / "deploy" / "routing.toml"
LLAMA = "@cf/meta/llama-3.1-8b-instruct-fast"
GEMMA = "@cf/google/gemma-4-26b-a4b-it"
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def models(tier: Tier, operation: Operation, model: str, *, in_rollout: bool) -> list[str]:
    table = load_routing_table(SHIPPED)
    return [c.model for c in candidates(table, tier, operation, model, in_rollout=in_rollout)]


def loaded(folder: Path, *changes: tuple[str, str]) -> RoutingTable:
    path = folder / "routing.toml"
    content = SHIPPED.read_text(encoding="utf-8")
    for old, new in changes:
        assert old in content
        content = content.replace(old, new, 1)
    path.write_text(content, encoding="utf-8")
    return load_routing_table(path)


def test_every_shipped_model_has_a_price() -> None:
    check_prices(load_routing_table(SHIPPED), load_price_book(ROOT / "prices"), NOON)


def test_the_shipped_table_follows_the_rollout_for_free_users_only() -> None:
    assert models(Tier.FREE, Operation.CHAT, AUTO, in_rollout=True) == [LLAMA, "gpt-6-luna"]
    assert models(Tier.FREE, Operation.CHAT, AUTO, in_rollout=False) == ["gpt-6-luna", LLAMA]
    assert models(Tier.PAID, Operation.CHAT, AUTO, in_rollout=False) == [LLAMA, "gpt-6-luna"]


def test_the_shipped_table_keeps_the_names_of_retired_models() -> None:
    assert models(Tier.PREMIUM, Operation.CHAT, "gpt-4", in_rollout=True)[0] == "gpt-6.1-sol"
    assert models(Tier.FREE, Operation.CHAT, "gpt-3.5-turbo", in_rollout=True)[0] == "gpt-6-luna"
    assert models(Tier.PAID, Operation.CHAT, "llama-3.1-8b-instruct", in_rollout=True)[0] == LLAMA


def test_the_shipped_fallback_does_not_think() -> None:
    table = load_routing_table(SHIPPED)
    fallback = candidates(table, Tier.PAID, Operation.CHAT, AUTO, in_rollout=True)[1]

    assert fallback.provider == OPENAI
    assert fallback.options == {"reasoning_effort": "none"}


def test_the_shipped_successor_of_the_usual_model_does_not_think_either() -> None:
    [(model, successor)] = load_routing_table(SHIPPED).successors.items()

    assert model == Candidate(CLOUDFLARE, LLAMA)
    assert successor == Candidate(
        CLOUDFLARE, GEMMA, {"chat_template_kwargs.enable_thinking": False}
    )


def test_the_shipped_limits_are_those_of_cloudflares_documentation() -> None:
    requests_by_model = {
        limit.model: limit.requests_per_minute for limit in load_routing_table(SHIPPED).limits
    }

    assert requests_by_model == {LLAMA: 300, GEMMA: 300, "@cf/baai/bge-m3": 3_000}


def test_the_shipped_table_neither_hedges_nor_names_whom_to_divert_to() -> None:
    routes = load_routing_table(SHIPPED).routes.values()

    assert {(route.hedge, route.divert) for route in routes} == {(None, None)}


def test_a_server_becomes_a_provider_with_candidates(tmp_path: Path) -> None:
    server = '[providers.local]\nbase_url = "http://127.0.0.1:8000/v1"\n'
    mistral = '[candidates.mistral]\nprovider = "local"\nmodel = "mistral"\n'

    table = loaded(
        tmp_path,
        ("[candidates.luna]", f"{server}{mistral}[candidates.luna]"),
        ('order = ["llama-8b", "luna"]', 'order = ["mistral", "luna"]'),
    )

    assert table.servers == {"local": Server("http://127.0.0.1:8000/v1", "max_tokens")}
    first = candidates(table, Tier.FREE, Operation.CHAT, AUTO, in_rollout=True)[0]
    assert first == Candidate(Provider("local"), "mistral")
    assert providers_of(table) == {"local", CLOUDFLARE, OPENAI}


def test_a_server_may_want_the_newer_limit_on_tokens(tmp_path: Path) -> None:
    server = (
        '[providers.proxy]\nbase_url = "https://llm.example/v1"\n'
        'max_tokens_field = "max_completion_tokens"\n'
    )

    table = loaded(tmp_path, ("[candidates.luna]", f"{server}[candidates.luna]"))

    assert table.servers[Provider("proxy")].max_tokens_field == "max_completion_tokens"


def test_a_route_may_be_hedged_and_name_whom_to_divert_to(tmp_path: Path) -> None:
    more = 'hedge = { after_ms = 800, daily_cap_usd = "5.50" }\ndivert = "gemma-26b"\n'

    table = loaded(tmp_path, ("[routes.paid.chat]\n", f"[routes.paid.chat]\n{more}"))

    route = table.routes[Tier.PAID, Operation.CHAT]
    assert route.hedge == Hedge(timedelta(milliseconds=800), Decimal("5.50"))
    assert route.divert is not None
    assert route.divert.model == GEMMA


def test_a_limit_may_be_for_all_models_by_token_and_by_tokens(tmp_path: Path) -> None:
    limit = '\n[[limits]]\nprovider = "openai"\nper_token = true\ntokens_per_minute = 9000\n'

    table = loaded(
        tmp_path, ("requests_per_minute = 3_000\n", f"requests_per_minute = 3_000{limit}")
    )

    assert table.limits[-1] == RateLimit(
        provider=OPENAI, is_per_token=True, tokens_per_minute=9_000
    )


@pytest.mark.parametrize(
    "options",
    [
        'options = { "a.b" = 1, c = "d" }',
        'options = { a.b = 1, c = "d" }',
        'options.a.b = 1\noptions.c = "d"',
        '[candidates.sol.options]\nc = "d"\n[candidates.sol.options.a]\nb = 1',
    ],
)
def test_options_inside_options_are_written_as_toml_allows(tmp_path: Path, options: str) -> None:
    sol = 'model = "gpt-6.1-sol"\n'

    table = loaded(tmp_path, (sol, f"{sol}{options}\n"))

    [asked_for, *_] = candidates(
        table, Tier.PREMIUM, Operation.CHAT, "gpt-6.1-sol", in_rollout=True
    )
    assert asked_for.options == {"a.b": 1, "c": "d"}


def test_a_missing_price_has_file_line_and_key_path(tmp_path: Path) -> None:
    table = loaded(
        tmp_path,
        ('model = "gpt-6-luna"', 'model = "gpt-6-lunar"'),
        ('"gpt-6-luna"', '"gpt-6-lunar"'),
    )

    with pytest.raises(RoutingTableError) as caught:
        check_prices(table, load_price_book(ROOT / "prices"), NOON)

    line = _line_of("[routes.free.chat]")
    assert f"routing.toml:{line}: routes.free.chat: " in str(caught.value)
    assert "gpt-6-lunar" in str(caught.value)


def test_a_successor_without_a_price_is_missed_at_start_too(tmp_path: Path) -> None:
    table = loaded(
        tmp_path,
        (f'model = "{GEMMA}"', 'model = "@cf/x"'),
        (f'model = "{GEMMA}"', 'model = "@cf/x"'),
    )

    with pytest.raises(RoutingTableError, match="cloudflare/@cf/x"):
        check_prices(table, load_price_book(ROOT / "prices"), NOON)


def _line_of(text: str) -> int:
    content = SHIPPED.read_text(encoding="utf-8")
    return content[: content.index(text)].count("\n") + 1
