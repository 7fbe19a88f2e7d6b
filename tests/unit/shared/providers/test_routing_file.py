from datetime import UTC, datetime
from pathlib import Path

import pytest

from shared.domain.catalog import OPENAI, Operation, Tier
from shared.domain.errors import RoutingTableError
from shared.domain.routing import AUTO, candidates, check_prices
from shared.providers.price_files import load_price_book
from shared.providers.routing_file import load_routing_table

ROOT = Path(__file__).parents[4]
SHIPPED = ROOT / "deploy" / "routing.toml"
LLAMA = "@cf/meta/llama-3.1-8b-instruct-fast"
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def models(tier: Tier, operation: Operation, model: str, *, in_rollout: bool) -> list[str]:
    table = load_routing_table(SHIPPED)
    return [c.model for c in candidates(table, tier, operation, model, in_rollout=in_rollout)]


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


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        (
            'provider = "openai"',
            'provider = "acme"',
            r"luna\.provider: no provider acme",
        ),
        ("[routes.free.chat]\norder", "[routes.free.chat]\nordr", r"routes\.free\.chat\.order"),
        ("[routes.free.embed]", "[routes.gold.embed]", r"routes\.gold"),
        ('["llama-8b", "luna"]', '["llama-9b"]', r"routes\.free\.chat\.order: no \[candidates"),
        ('["luna", "llama-8b"]', "[]", r"routes\.free\.chat: has no candidate"),
        ('premium = "gpt-6.1-sol"', 'premium = "gpt-9"', r"aliases\.premium: no route"),
        ("[aliases]", "[aliases", r"at line \d+, column \d+"),
    ],
)
def test_a_fault_is_named_by_its_key(tmp_path: Path, old: str, new: str, fault: str) -> None:
    path = tmp_path / "routing.toml"
    content = SHIPPED.read_text(encoding="utf-8")
    assert old in content
    path.write_text(content.replace(old, new, 1), encoding="utf-8")

    with pytest.raises(RoutingTableError, match=rf"routing\.toml: .*{fault}"):
        load_routing_table(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(RoutingTableError, match=r"absent\.toml"):
        load_routing_table(tmp_path / "absent.toml")
