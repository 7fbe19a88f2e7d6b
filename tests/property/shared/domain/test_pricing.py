from decimal import Decimal
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from shared.domain.catalog import Provider
from shared.domain.pricing import ModelKind, PriceRow, charge, worst_case_usd
from shared.domain.usage import TokenUsage

RATES = st.decimals(min_value=0, max_value=1_000, places=4)
NEURON_RATES = st.decimals(min_value=0, max_value=1_000_000, places=2)
TOKENS = st.integers(min_value=0, max_value=10_000_000)
USAGES = st.builds(TokenUsage, TOKENS, TOKENS)
ROWS = st.builds(
    PriceRow,
    provider=st.just(Provider.OPENAI),
    model=st.just("m"),
    kind=st.just(ModelKind.CHAT),
    input_usd_per_million=RATES,
    output_usd_per_million=RATES,
    long_context_above_tokens=st.none() | TOKENS,
)


def cloudflare_row(input_rate: Decimal, output_rate: Decimal) -> PriceRow:
    return PriceRow(
        provider=Provider.CLOUDFLARE,
        model="m",
        kind=ModelKind.CHAT,
        neurons_per_million_input=input_rate,
        neurons_per_million_output=output_rate,
    )


@given(NEURON_RATES, NEURON_RATES, USAGES)
def test_neurons_and_their_cost_are_exact(
    input_rate: Decimal, output_rate: Decimal, usage: TokenUsage
) -> None:
    charged = charge(cloudflare_row(input_rate, output_rate), usage)

    weighted = usage.input_tokens * Fraction(input_rate)
    weighted += usage.output_tokens * Fraction(output_rate)
    assert charged.neurons is not None
    assert Fraction(charged.neurons) == weighted / 1_000_000
    assert Fraction(charged.cost_usd) == Fraction(charged.neurons) * Fraction(11, 1_000_000)


@given(RATES, RATES, USAGES, USAGES)
def test_the_cost_of_a_sum_is_the_sum_of_the_costs(
    input_rate: Decimal, output_rate: Decimal, first: TokenUsage, second: TokenUsage
) -> None:
    row = PriceRow(
        provider=Provider.OPENAI,
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


@given(ROWS, USAGES, TOKENS, TOKENS)
def test_no_usage_within_the_counts_costs_more_than_the_worst_case(
    row: PriceRow, usage: TokenUsage, more_input: int, more_output: int
) -> None:
    hold = worst_case_usd(row, usage.input_tokens + more_input, usage.output_tokens + more_output)

    assert 0 <= charge(row, usage).cost_usd <= hold
