"""The dated price rows the simulator bills by, read from CSV.

Invariant: money is exact. Cloudflare bills neurons at 0.011 USD per thousand (Cloudflare pricing
page, 2026-08-28; the USD columns are rounded from it) where it publishes them, else USD per million
tokens, as OpenAI does; a prompt beyond a row's threshold makes the whole request dearer.
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
_NO_PRICES = "allowances.csv"


@dataclass(frozen=True, slots=True)
class Price:
    """One dated row: rates per million tokens, for Cloudflare in neurons unless it is in USD."""

    provider: str
    model: str
    kind: str
    input_rate: Decimal
    output_rate: Decimal
    context_tokens: int | None
    dimensions: int | None
    effective_from: date
    retired_on: date | None
    is_in_usd: bool = False
    long_above: int | None = None
    long_input_factor: Decimal = Decimal(1)
    long_output_factor: Decimal = Decimal(1)

    def neurons(self, input_tokens: int, output_tokens: int) -> Decimal | None:
        """Return the billed neurons, or None where none are published."""
        return self._units(input_tokens, output_tokens) if self._has_neurons else None

    def cost_usd(self, input_tokens: int, output_tokens: int) -> Decimal:
        """Return the exact cost in USD."""
        units = self._units(input_tokens, output_tokens)
        return units * USD_PER_NEURON if self._has_neurons else units

    def is_retired(self, today: date) -> bool:
        """Tell whether the model no longer answers on that day."""
        return self.retired_on is not None and self.retired_on <= today

    @property
    def _has_neurons(self) -> bool:
        return self.provider == "cloudflare" and not self.is_in_usd

    def _units(self, input_tokens: int, output_tokens: int) -> Decimal:
        for_input, for_output = self.input_rate * input_tokens, self.output_rate * output_tokens
        if self.long_above is not None and input_tokens > self.long_above:
            for_input *= self.long_input_factor
            for_output *= self.long_output_factor
        return (for_input + for_output).scaleb(-6)


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
    """Read every `*.csv` file of a directory but the one that holds no prices.

    Raises:
        FileNotFoundError: there is none.
        ValueError: a row cannot be read.
    """
    files = [file for file in sorted(directory.glob("*.csv")) if file.name != _NO_PRICES]
    if not files:
        raise FileNotFoundError(f"no price rows: {directory} holds no .csv file")
    return PriceBook(price for path in files for price in _read_file(path))


def _read_file(path: Path) -> list[Price]:
    with path.open(encoding="utf-8", newline="") as file:
        return [_read_row(row) for row in csv.DictReader(file)]


def _read_row(row: Mapping[str, str]) -> Price:
    has_neurons = bool(row["neurons_per_million_input"])
    per_million = "neurons_per_million_{}" if has_neurons else "{}_usd_per_million"
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
        is_in_usd=not has_neurons,
        long_above=_integer(row.get("long_context_above_tokens", "")),
        long_input_factor=Decimal(row.get("long_context_input_factor") or 1),
        long_output_factor=Decimal(row.get("long_context_output_factor") or 1),
    )


def _decimal(text: str) -> Decimal:
    return Decimal(text) if text else _ZERO


def _integer(text: str) -> int | None:
    return int(text) if text else None


def _day(text: str) -> date | None:
    return date.fromisoformat(text) if text else None
