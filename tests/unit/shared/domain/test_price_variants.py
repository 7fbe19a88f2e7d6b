from dataclasses import replace
from decimal import Decimal

import pytest

from shared.domain.catalog import CLOUDFLARE, OPENAI, ServiceTier
from shared.domain.errors import PriceBookError, UnknownPriceError
from shared.domain.pricing import (
    ModelKind,
    PriceRow,
    as_called,
    charge,
    worst_case_usd,
)
from shared.domain.usage import TokenUsage
from tests.support.price_rows import LLAMA, LUNA

UNPRICED = PriceRow(provider=CLOUDFLARE, model="gemma", kind=ModelKind.EMBEDDING)
CACHING = PriceRow(
    provider=OPENAI,
    model="terra",
    kind=ModelKind.CHAT,
    input_usd_per_million=Decimal(1),
    output_usd_per_million=Decimal(5),
    cached_input_usd_per_million=Decimal("0.05"),
    cache_write_usd_per_million=Decimal("1.25"),
    long_cache_write_usd_per_million=Decimal("2.5"),
    factor_by_tier={
        ServiceTier.FLEX: Decimal("0.5"),
        ServiceTier.FAST: Decimal(2),
        ServiceTier.BATCH: Decimal("0.5"),
    },
)
PROMPT = TokenUsage(1_000_000, 0, cached_tokens=200_000, cache_write_tokens=300_000)


def test_cached_and_written_tokens_cost_their_own_rates() -> None:
    assert charge(CACHING, PROMPT).cost_usd == Decimal("0.885")


def test_more_cached_than_sent_is_no_discount() -> None:
    odd = TokenUsage(100, 0, cached_tokens=1_000, cache_write_tokens=1_000)

    assert charge(CACHING, odd) == charge(CACHING, replace(odd, cached_tokens=100))


def test_cached_tokens_of_a_row_without_a_cached_rate_cost_what_any_do() -> None:
    assert charge(LUNA, PROMPT) == charge(LUNA, TokenUsage(1_000_000))


def test_a_batch_has_no_cached_rate() -> None:
    batch = replace(PROMPT, service_tier="batch", cache_write_tokens=0)

    assert charge(CACHING, batch).cost_usd == Decimal("0.5")


@pytest.mark.parametrize(
    ("tier", "cost"),
    [(None, "5"), ("default", "5"), ("flex", "2.5"), ("fast", "10"), ("priority", "10")],
)
def test_a_tier_has_its_price(tier: str | None, cost: str) -> None:
    usage = TokenUsage(0, 1_000_000, service_tier=tier)

    assert charge(CACHING, usage).cost_usd == Decimal(cost)


def test_a_tier_that_nobody_priced_is_charged_as_the_dearest() -> None:
    assert charge(CACHING, TokenUsage(0, 1_000_000, service_tier="scale")).cost_usd == 10
    assert charge(LUNA, TokenUsage(0, 1_000_000, service_tier="scale")).cost_usd == Decimal("0.5")


def test_the_hold_takes_the_dearest_rate_and_tier() -> None:
    assert worst_case_usd(CACHING, 1_000_000, 1_000_000) == (Decimal("2.5") + 5) * 2


def test_a_call_that_names_its_tier_is_held_and_charged_for_that_tier() -> None:
    pinned = as_called(CACHING, {"service_tier": "default"})
    flex = as_called(CACHING, {"service_tier": "flex"})

    assert worst_case_usd(pinned, 1_000_000, 0) == Decimal("2.5")
    assert worst_case_usd(flex, 1_000_000, 0) == Decimal("2.5")
    assert charge(flex, TokenUsage(0, 1_000_000, service_tier="flex")).cost_usd == Decimal("2.5")
    assert as_called(CACHING, {"service_tier": "auto", "temperature": 1}) is CACHING
    assert as_called(LUNA, {"service_tier": "default"}) == LUNA


@pytest.mark.parametrize("tier", ["fast", "scale"])
def test_a_tier_without_a_price_is_refused(tier: str) -> None:
    with pytest.raises(UnknownPriceError, match=f"service_tier '{tier}'.*add the factor"):
        as_called(LUNA, {"service_tier": tier})


def test_a_long_stay_in_the_cache_costs_more() -> None:
    longer = as_called(CACHING, {"prompt_cache_retention": "24h"})
    usage = TokenUsage(1_000_000, 0, cache_write_tokens=1_000_000)

    assert charge(longer, usage).cost_usd == Decimal("2.5")
    assert as_called(CACHING, {"prompt_cache_retention": "in_memory"}) is CACHING
    assert as_called(LUNA, {"prompt_cache_retention": "24h"}) == LUNA


def test_cloudflares_cached_tokens_have_their_own_neurons() -> None:
    row = replace(LLAMA, neurons_per_million_cached_input=Decimal(1000))

    assert charge(row, TokenUsage(1_000_000, 0, cached_tokens=500_000)).neurons == Decimal("2559.5")


def test_long_context_needs_threshold_and_factors() -> None:
    with pytest.raises(PriceBookError, match="go together"):
        replace(LUNA, long_context_above_tokens=1)


def test_a_cache_rate_alone_is_no_price() -> None:
    with pytest.raises(PriceBookError, match="without the price it changes"):
        replace(UNPRICED, cached_input_usd_per_million=Decimal(1))
