from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from simulator.prices import Price, PriceBook, read_prices

_TODAY = date(2026, 11, 22)


def _price(provider: str, rates: tuple[str, str], **dates: date) -> Price:
    return Price(
        provider=provider,
        model="m",
        kind="chat",
        input_rate=Decimal(rates[0]),
        output_rate=Decimal(rates[1]),
        context_tokens=None,
        dimensions=None,
        effective_from=dates.get("effective_from", date.min),
        retired_on=dates.get("retired_on"),
    )


def test_cloudflare_bills_neurons() -> None:
    price = _price("cloudflare", ("4119", "34868"))
    assert price.neurons(500, 300) == Decimal("12.5199")
    assert price.cost_usd(500, 300) == Decimal("0.0001377189")


def test_openai_bills_dollars_without_neurons() -> None:
    price = _price("openai", ("0.1", "0.5"))
    assert price.neurons(500, 300) is None
    assert price.cost_usd(500, 300) == Decimal("0.0002")


def test_a_cloudflare_model_without_published_neurons_bills_dollars() -> None:
    price = replace(_price("cloudflare", ("0.95", "4")), is_in_usd=True)
    assert price.neurons(500, 300) is None
    assert price.cost_usd(500, 300) == Decimal("0.001675")


def test_a_long_prompt_makes_the_whole_request_dearer() -> None:
    price = replace(
        _price("openai", ("1", "5")),
        long_above=1_000,
        long_input_factor=Decimal(2),
        long_output_factor=Decimal("1.5"),
    )
    assert price.cost_usd(1_000, 1_000) == Decimal("0.006")
    assert price.cost_usd(1_001, 1_000) == Decimal("0.009502")


def test_every_shipped_price_but_a_blank_one_bills_something() -> None:
    book = read_prices(Path(__file__).parents[3] / "prices")
    offered = [*book.offered("cloudflare", _TODAY), *book.offered("openai", _TODAY)]
    free = [price.model for price in offered if not price.cost_usd(1_000, 0)]
    assert free == ["@cf/google/embeddinggemma-300m"]
    long = {price.model: price for price in offered if price.long_above}
    assert long["gpt-6-luna"].cost_usd(272_001, 0) == Decimal("0.0544002")


def test_the_latest_row_in_force_counts() -> None:
    old = _price("openai", ("1", "6"))
    new = _price("openai", ("0.2", "1.2"), effective_from=date(2026, 7, 30))
    book = PriceBook([old, new])
    assert book.find("openai", "m", date(2026, 7, 29)) is old
    assert book.find("openai", "m", _TODAY) is new
    assert book.find("openai", "other", _TODAY) is None


def test_a_model_is_retired_from_its_last_day() -> None:
    price = _price("openai", ("1", "1"), retired_on=_TODAY)
    assert price.is_retired(_TODAY)
    assert not price.is_retired(date(2026, 11, 21))


def test_a_folder_without_rows_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="holds no"):
        read_prices(tmp_path)
