"""The dated price rows the simulator bills by, read from CSV.

Invariant: money is exact. Cloudflare bills neurons at 0.011 USD per thousand (Cloudflare pricing
page, 2026-08-28; the USD columns are rounded from it), OpenAI bills USD per million tokens.
"""

import csv
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path

USD_PER_NEURON = Decimal("0.000011")
_ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Price:
    """One dated row: rates per million tokens, in neurons for Cloudflare and in USD for OpenAI."""

    provider: str
    model: str
    kind: str
    input_rate: Decimal
    output_rate: Decimal
    context_tokens: int | None
    dimensions: int | None
    effective_from: date
    retired_on: date | None

    def neurons(self, input_tokens: int, output_tokens: int) -> Decimal | None:
        """Return the billed neurons, or None for a provider that has none."""
        if self.provider != "cloudflare":
            return None
        return self._units(input_tokens, output_tokens)

    def cost_usd(self, input_tokens: int, output_tokens: int) -> Decimal:
        """Return the exact cost in USD."""
        units = self._units(input_tokens, output_tokens)
        return units * USD_PER_NEURON if self.provider == "cloudflare" else units

    def is_retired(self, today: date) -> bool:
        """Tell whether the model no longer answers on that day."""
        return self.retired_on is not None and self.retired_on <= today

    def _units(self, input_tokens: int, output_tokens: int) -> Decimal:
        return (self.input_rate * input_tokens + self.output_rate * output_tokens).scaleb(-6)


class PriceBook:
    """Prices by provider, model and day."""

    def __init__(self, prices: Iterable[Price]) -> None:
        rows: defaultdict[tuple[str, str], list[Price]] = defaultdict(list)
        for price in prices:
            rows[price.provider, price.model].append(price)
        self._rows = {
            key: sorted(dated, key=lambda price: price.effective_from, reverse=True)
            for key, dated in rows.items()
        }

    def find(self, provider: str, model: str, today: date) -> Price | None:
        """Return the row in force on that day, or None for a model nobody sells."""
        for price in self._rows.get((provider, model), ()):
            if price.effective_from <= today:
                return price
        return None

    def offered(self, provider: str, today: date) -> list[Price]:
        """Return the row in force of each of the provider's models, retired ones included."""
        found = (self.find(*key, today) for key in self._rows if key[0] == provider)
        return [price for price in found if price is not None]


def read_prices(directory: Path) -> PriceBook:
    """Read every `*.csv` file of a directory.

    Raises:
        FileNotFoundError: there is none.
        ValueError: a row cannot be read.
    """
    files = sorted(directory.glob("*.csv"))
    if not files:
        raise FileNotFoundError(f"no price rows: {directory} holds no .csv file")
    return PriceBook(price for path in files for price in _read_file(path))


def _read_file(path: Path) -> list[Price]:
    with path.open(encoding="utf-8", newline="") as file:
        return [_read_row(row) for row in csv.DictReader(file)]


def _read_row(row: Mapping[str, str]) -> Price:
    per_million = (
        "neurons_per_million_{}" if row["provider"] == "cloudflare" else "{}_usd_per_million"
    )
    return Price(
        provider=row["provider"],
        model=row["model"],
        kind=row["kind"],
        input_rate=_decimal(row[per_million.format("input")]),
        output_rate=_decimal(row[per_million.format("output")]),
        context_tokens=_integer(row["context_tokens"]),
        dimensions=_integer(row["dimensions"]),
        effective_from=_day(row["effective_from"]) or date.min,
        retired_on=_day(row["retired_on"]),
    )


def _decimal(text: str) -> Decimal:
    return Decimal(text) if text else _ZERO


def _integer(text: str) -> int | None:
    return int(text) if text else None


def _day(text: str) -> date | None:
    return date.fromisoformat(text) if text else None
