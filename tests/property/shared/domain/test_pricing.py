from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.domain.catalog import CLOUDFLARE, OPENAI, ServiceTier
from shared.domain.pricing import ModelKind, PriceRow, as_called, charge, worst_case_usd
from shared.domain.provider_calls import OptionValue
from shared.domain.usage import TokenUsage
from shared.providers.price_files import load_price_book

SHIPPED = [
    row for row in load_price_book(Path(__file__).parents[4] / "prices").rows if row.is_known
]
RATES = st.decimals(min_value=0, max_value=1_000, places=4)
FACTORS = st.decimals(min_value=0, max_value=4, places=2)
NEURON_RATES = st.decimals(min_value=0, max_value=1_000_000, places=2)
TOKENS = st.integers(min_value=0, max_value=10_000_000)
TIERS = st.none() | st.sampled_from(["auto", "default", "flex", "fast", "priority", "batch", "?"])
USAGES = st.builds(
    TokenUsage,
    TOKENS,
    TOKENS,
    cached_tokens=TOKENS,
    cache_write_tokens=TOKENS,
    service_tier=TIERS,
)
OPTIONS: st.SearchStrategy[Mapping[str, OptionValue]] = st.fixed_dictionaries(
    {},
    optional={
        "service_tier": st.sampled_from(["auto", "default"]),
        "prompt_cache_retention": st.sampled_from(["in_memory", "24h"]),
    },
)
MODELS = {"model": st.just("m"), "kind": st.just(ModelKind.CHAT)}
USD_ROWS = st.builds(
    PriceRow,
    provider=st.just(OPENAI),
    input_usd_per_million=RATES,
    output_usd_per_million=RATES,
    cached_input_usd_per_million=st.none() | RATES,
    cache_write_usd_per_million=st.none() | RATES,
    long_cache_write_usd_per_million=st.none() | RATES,
    factor_by_tier=st.dictionaries(st.sampled_from(ServiceTier), FACTORS),
    **MODELS,
)
NEURON_ROWS = st.builds(
    PriceRow,
    provider=st.just(CLOUDFLARE),
    neurons_per_million_input=NEURON_RATES,
    neurons_per_million_output=NEURON_RATES,
    neurons_per_million_cached_input=st.none() | NEURON_RATES,
    **MODELS,
)


def with_a_threshold(
    row: PriceRow, above_tokens: int, input_factor: Decimal, output_factor: Decimal
) -> PriceRow:
    return replace(
        row,
        long_context_above_tokens=above_tokens,
        long_context_input_factor=input_factor,
        long_context_output_factor=output_factor,
    )


PLAIN_ROWS = USD_ROWS | NEURON_ROWS
ROWS = PLAIN_ROWS | st.builds(with_a_threshold, PLAIN_ROWS, TOKENS, FACTORS, FACTORS)


@given(NEURON_RATES, NEURON_RATES, TOKENS, TOKENS)
def test_neurons_and_their_cost_are_exact(
    input_rate: Decimal, output_rate: Decimal, input_tokens: int, output_tokens: int
) -> None:
    row = PriceRow(
        provider=CLOUDFLARE,
        model="m",
        kind=ModelKind.CHAT,
        neurons_per_million_input=input_rate,
        neurons_per_million_output=output_rate,
    )
    charged = charge(row, TokenUsage(input_tokens, output_tokens))

    weighted = input_tokens * Fraction(input_rate) + output_tokens * Fraction(output_rate)
    assert charged.neurons is not None
    assert Fraction(charged.neurons) == weighted / 1_000_000
    assert Fraction(charged.cost_usd) == Fraction(charged.neurons) * Fraction(11, 1_000_000)


@given(RATES, RATES, USAGES, USAGES)
def test_the_cost_of_a_sum_is_the_sum_of_the_costs(
    input_rate: Decimal, output_rate: Decimal, first: TokenUsage, second: TokenUsage
) -> None:
    row = PriceRow(
        provider=OPENAI,
        model="m",
        kind=ModelKind.CHAT,
        input_usd_per_million=input_rate,
        output_usd_per_million=output_rate,
    )
    together = TokenUsage(
        first.input_tokens + second.input_tokens, first.output_tokens + second.output_tokens
    )

    apart = charge(row, first).cost_usd + charge(row, second).cost_usd
    assert charge(row, together).cost_usd == apart


@given(ROWS, OPTIONS, USAGES, TOKENS, TOKENS)
def test_no_usage_within_the_counts_costs_more_than_the_worst_case(
    row: PriceRow,
    options: Mapping[str, OptionValue],
    usage: TokenUsage,
    more_input: int,
    more_output: int,
) -> None:
    called = as_called(row, options)
    hold = worst_case_usd(
        called, usage.input_tokens + more_input, usage.output_tokens + more_output
    )

    assert 0 <= charge(called, usage).cost_usd <= hold


@pytest.mark.parametrize("row", SHIPPED, ids=lambda row: row.id)
@settings(max_examples=15, deadline=None)
@given(usage=USAGES, more_input=TOKENS, more_output=TOKENS)
def test_no_call_of_a_shipped_model_costs_more_than_its_hold(
    row: PriceRow, usage: TokenUsage, more_input: int, more_output: int
) -> None:
    hold = worst_case_usd(row, usage.input_tokens + more_input, usage.output_tokens + more_output)

    assert 0 <= charge(row, usage).cost_usd <= hold


@given(ROWS, TOKENS, TOKENS, TOKENS, TOKENS)
def test_the_hold_grows_with_its_bounds(
    row: PriceRow, input_tokens: int, output_tokens: int, more_input: int, more_output: int
) -> None:
    smaller = worst_case_usd(row, input_tokens, output_tokens)

    assert smaller <= worst_case_usd(row, input_tokens + more_input, output_tokens + more_output)
