from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import pytest

from shared.domain.catalog import CLOUDFLARE, OPENAI
from shared.domain.errors import PriceBookError, UnknownPriceError
from shared.domain.pricing import (
    ModelKind,
    PriceBook,
    PriceRow,
    charge,
    retiring,
    worst_case_usd,
)
from shared.domain.usage import NO_USAGE, TokenUsage
from tests.support.price_rows import LLAMA


def luna(
    input_usd: str = "0.1",
    output_usd: str = "0.5",
    effective_from: date | None = None,
    retired_on: date | None = None,
    long_context_above_tokens: int | None = None,
) -> PriceRow:
    return PriceRow(
        provider=OPENAI,
        model="luna",
        kind=ModelKind.CHAT,
        input_usd_per_million=Decimal(input_usd),
        output_usd_per_million=Decimal(output_usd),
        effective_from=effective_from,
        retired_on=retired_on,
        long_context_above_tokens=long_context_above_tokens,
        long_context_input_factor=Decimal(2) if long_context_above_tokens else None,
        long_context_output_factor=Decimal("1.5") if long_context_above_tokens else None,
    )


UNPRICED = PriceRow(provider=CLOUDFLARE, model="gemma", kind=ModelKind.EMBEDDING)
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def test_cloudflare_is_charged_by_neurons_and_not_by_the_rounded_usd_rate() -> None:
    charged = charge(LLAMA, TokenUsage(500, 300))

    assert charged.neurons == Decimal("12.5199")
    assert charged.cost_usd == Decimal("0.0001377189")
    assert charged.price_id == "cloudflare/llama@base"


def test_reported_neurons_do_not_change_the_charge() -> None:
    reported = TokenUsage(500, 300, neurons=Decimal("12.5"))

    assert charge(LLAMA, reported) == charge(LLAMA, TokenUsage(500, 300))


def test_openai_is_charged_by_usd_per_million_tokens() -> None:
    charged = charge(luna(), TokenUsage(500, 300))

    assert charged.cost_usd == Decimal("0.0002")
    assert charged.neurons is None


def test_no_usage_costs_nothing() -> None:
    assert charge(LLAMA, NO_USAGE).cost_usd == 0


def test_a_blank_price_is_refused_and_never_zero() -> None:
    with pytest.raises(UnknownPriceError, match="cloudflare/gemma@base"):
        charge(UNPRICED, NO_USAGE)
    with pytest.raises(UnknownPriceError, match="cloudflare/gemma@base"):
        worst_case_usd(UNPRICED, 1, 1)
    with pytest.raises(UnknownPriceError, match="cloudflare/gemma on 2026-11-22"):
        PriceBook([UNPRICED]).price_at(CLOUDFLARE, "gemma", NOON)


def test_a_long_prompt_makes_the_whole_request_dearer() -> None:
    row = luna(long_context_above_tokens=272_000)

    assert charge(row, TokenUsage(272_000, 1_000)).cost_usd == Decimal("0.0277")
    assert charge(row, TokenUsage(272_001, 1_000)).cost_usd == Decimal("0.0551502")


def test_worst_case_is_the_charge_for_every_token_allowed() -> None:
    assert worst_case_usd(luna(), 1_000_000, 1_000_000) == Decimal("0.6")


def test_the_newest_price_in_force_applies() -> None:
    old, new = luna("1", "6"), luna("0.2", "1.2", date(2026, 7, 30))
    book = PriceBook([old, new])

    before = datetime(2026, 7, 29, 23, 59, 59, tzinfo=UTC)
    assert book.price_at(OPENAI, "luna", before) is old
    assert book.price_at(OPENAI, "luna", before + timedelta(seconds=1)) is new
    assert new.id == "openai/luna@2026-07-30"


def test_a_price_begins_at_midnight_utc_in_every_time_zone() -> None:
    new = luna(effective_from=date(2026, 7, 30))
    tokyo_morning = datetime(2026, 7, 30, 8, tzinfo=timezone(timedelta(hours=9)))

    with pytest.raises(UnknownPriceError, match="2026-07-29"):
        PriceBook([new]).price_at(OPENAI, "luna", tokyo_morning)


def test_a_retired_model_stays_priceable() -> None:
    row = luna(retired_on=date(2026, 1, 1))

    assert PriceBook([row]).price_at(OPENAI, "luna", NOON) is row


def test_an_unknown_model_is_refused_with_a_remedy() -> None:
    with pytest.raises(UnknownPriceError, match=r"openai/llama.*add a row"):
        PriceBook([LLAMA]).price_at(OPENAI, "llama", NOON)


def test_two_prices_from_the_same_day_contradict_each_other() -> None:
    with pytest.raises(PriceBookError, match="openai/luna@base stands twice"):
        PriceBook([luna(), luna("2", "3")])


@pytest.mark.parametrize("rate", ["-0.1", "NaN", "Infinity"])
def test_a_rate_is_a_finite_amount_of_zero_or_more(rate: str) -> None:
    with pytest.raises(PriceBookError, match="negative or not a number"):
        luna(output_usd=rate)


def test_half_a_price_is_no_price() -> None:
    with pytest.raises(PriceBookError, match="one neuron rate is missing"):
        PriceRow(
            provider=CLOUDFLARE,
            model="llama",
            kind=ModelKind.CHAT,
            neurons_per_million_input=Decimal(1),
        )


def test_a_model_does_not_retire_before_its_price_begins() -> None:
    with pytest.raises(PriceBookError, match="before effective_from"):
        luna(effective_from=date(2026, 2, 1), retired_on=date(2026, 1, 31))


def test_models_about_to_retire_are_listed_earliest_first() -> None:
    gone = luna(retired_on=date(2026, 11, 1))
    soon = luna(retired_on=date(2026, 12, 22), effective_from=date(2026, 1, 1))
    later = luna(retired_on=date(2026, 12, 23), effective_from=date(2026, 1, 2))

    assert retiring([later, soon, LLAMA, gone], date(2026, 11, 22), 30) == (gone, soon)


def test_of_each_model_one_row_is_in_force() -> None:
    old, new, future = (
        luna(),
        luna(effective_from=NOON.date()),
        luna(effective_from=date(2027, 1, 1)),
    )
    upcoming = replace(LLAMA, effective_from=date(2027, 1, 1))

    assert PriceBook([future, upcoming, old, new, UNPRICED]).rows_in_force(NOON) == [new, UNPRICED]


def test_a_model_may_be_priced_after_it_was_known() -> None:
    later = replace(LLAMA, model="gemma", effective_from=date(2026, 1, 1))

    assert PriceBook([UNPRICED, later]).price_at(CLOUDFLARE, "gemma", NOON) is later
