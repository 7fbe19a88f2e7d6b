from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from shared.domain.catalog import CLOUDFLARE, OPENAI
from shared.domain.errors import PriceBookError
from shared.domain.pricing import (
    NEURON_USD,
    Allowance,
    AllowanceUnit,
    DailyAllowance,
    PriceBook,
    charge,
)
from shared.domain.usage import TokenUsage
from tests.support.price_rows import LLAMA, LUNA

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def allowance(share: str, effective_from: date | None = None) -> Allowance:
    return Allowance(
        provider=CLOUDFLARE,
        unit=AllowanceUnit.NEURONS,
        amount=Decimal(10_000),
        share=Decimal(share),
        effective_from=effective_from,
    )


def test_only_a_claimed_share_of_an_allowance_counts() -> None:
    claimed = PriceBook([LLAMA], [allowance("0.25")])
    unclaimed = PriceBook([LLAMA], [allowance("0")])

    row = claimed.price_at(CLOUDFLARE, "llama", NOON)
    assert charge(row, TokenUsage(1)).allowance == DailyAllowance(
        "cloudflare/neurons", Decimal(2_500), NEURON_USD
    )
    assert charge(row, TokenUsage(1)).cost_usd == charge(LLAMA, TokenUsage(1)).cost_usd
    assert unclaimed.price_at(CLOUDFLARE, "llama", NOON) is LLAMA


def test_an_allowance_is_dated_like_a_price() -> None:
    book = PriceBook([LLAMA], [allowance("1", date(2026, 11, 23)), allowance("0.5")])

    def units(at: datetime) -> Decimal | None:
        found = book.price_at(CLOUDFLARE, "llama", at).allowance
        return None if found is None else found.units

    assert units(NOON) == 5_000
    assert units(NOON + timedelta(days=1)) == 10_000


def test_an_allowance_begins_on_its_day() -> None:
    book = PriceBook([LLAMA], [allowance("1", date(2026, 11, 23))])

    assert book.price_at(CLOUDFLARE, "llama", NOON).allowance is None


def test_what_is_not_counted_in_neurons_is_never_free() -> None:
    priced_in_usd = replace(LLAMA, neurons_per_million_input=None, neurons_per_million_output=None)
    book = PriceBook([priced_in_usd, LUNA], [allowance("1")])

    assert book.price_at(CLOUDFLARE, "llama", NOON).allowance is None
    assert book.price_at(OPENAI, "luna", NOON).allowance is None


@pytest.mark.parametrize(
    ("amount", "share"), [("-1", "1"), ("1", "1.01"), ("1", "-1"), ("NaN", "0")]
)
def test_an_allowance_is_an_amount_and_a_share_of_it(amount: str, share: str) -> None:
    with pytest.raises(PriceBookError, match="allowance cloudflare/neurons@base"):
        Allowance(
            provider=CLOUDFLARE,
            unit=AllowanceUnit.NEURONS,
            amount=Decimal(amount),
            share=Decimal(share),
        )
