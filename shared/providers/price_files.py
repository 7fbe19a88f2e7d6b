"""Reads the price files into a price book.

Invariant: a file with a fault anywhere yields no price book at all, and the error names file and
line.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from datetime import date
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from shared.domain.catalog import PROVIDER_NAME, Provider, ServiceTier
from shared.domain.errors import PriceBookError
from shared.domain.pricing import Allowance, AllowanceUnit, ModelKind, PriceBook, PriceRow
from shared.providers.csv_lines import CsvLine, CsvLines, read_csv

ALLOWANCES = "allowances.csv"
"""The one file that holds no prices."""
_RATE_COLUMN = re.compile(r"_[a-z]{3}_per_million$")
_ValueT = TypeVar("_ValueT")
_LineT = TypeVar("_LineT", bound=BaseModel)


def _blank_to_none(cell: str) -> str | None:
    return cell.strip() or None


def _blank_to_usd(cell: str) -> str:
    return cell.strip() or "USD"


_Amount = Annotated[Decimal, Field(ge=0, allow_inf_nan=False)]
_Rate = Annotated[_Amount | None, BeforeValidator(_blank_to_none)]
_Count = Annotated[Annotated[int, Field(ge=1)] | None, BeforeValidator(_blank_to_none)]
_Day = Annotated[date | None, BeforeValidator(_blank_to_none)]
_Currency = Annotated[Literal["USD"], BeforeValidator(_blank_to_usd)]
_Text = Annotated[str, Field(min_length=1)]


_Provider = Annotated[Provider, Field(pattern=f"^{PROVIDER_NAME.pattern}$")]


class _Line(BaseModel):
    """One line of a file; `source` and `as_of` tell people where it was read."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: _Text
    as_of: date


class _PriceLine(_Line):
    provider: _Provider
    model: _Text
    kind: ModelKind
    input_usd_per_million: _Rate
    output_usd_per_million: _Rate
    neurons_per_million_input: _Rate
    neurons_per_million_output: _Rate
    context_tokens: _Count
    dimensions: _Count
    effective_from: _Day
    retired_on: _Day
    cached_input_usd_per_million: _Rate = None
    cache_write_usd_per_million: _Rate = None
    long_cache_write_usd_per_million: _Rate = None
    neurons_per_million_cached_input: _Rate = None
    long_context_above_tokens: _Count = None
    long_context_input_factor: _Rate = None
    long_context_output_factor: _Rate = None
    batch_factor: _Rate = None
    flex_factor: _Rate = None
    fast_factor: _Rate = None
    currency: _Currency = "USD"

    def price_row(self, place: str) -> PriceRow:
        """Return the line without its provenance."""
        factors = {
            ServiceTier.BATCH: self.batch_factor,
            ServiceTier.FLEX: self.flex_factor,
            ServiceTier.FAST: self.fast_factor,
        }
        return PriceRow(
            provider=self.provider,
            model=self.model,
            kind=self.kind,
            input_usd_per_million=self.input_usd_per_million,
            output_usd_per_million=self.output_usd_per_million,
            cached_input_usd_per_million=self.cached_input_usd_per_million,
            cache_write_usd_per_million=self.cache_write_usd_per_million,
            long_cache_write_usd_per_million=self.long_cache_write_usd_per_million,
            neurons_per_million_input=self.neurons_per_million_input,
            neurons_per_million_output=self.neurons_per_million_output,
            neurons_per_million_cached_input=self.neurons_per_million_cached_input,
            context_tokens=self.context_tokens,
            dimensions=self.dimensions,
            effective_from=self.effective_from,
            retired_on=self.retired_on,
            long_context_above_tokens=self.long_context_above_tokens,
            long_context_input_factor=self.long_context_input_factor,
            long_context_output_factor=self.long_context_output_factor,
            factor_by_tier=MappingProxyType(
                {tier: factor for tier, factor in factors.items() if factor is not None}
            ),
            place=place,
        )


class _AllowanceLine(_Line):
    provider: _Provider
    unit: AllowanceUnit
    amount: _Amount
    per: Literal["day"]
    share: Annotated[_Amount, Field(le=1)]
    effective_from: _Day

    def allowance(self, place: str) -> Allowance:
        """Return the line without its provenance."""
        return Allowance(
            provider=self.provider,
            unit=self.unit,
            amount=self.amount,
            share=self.share,
            effective_from=self.effective_from,
            place=place,
        )


def load_price_book(directory: Path) -> PriceBook:
    """Read `allowances.csv` and, as prices, every other `*.csv` of `directory`.

    Raises:
        PriceBookError: There is no price file, a file cannot be read, has an unknown column or a
            currency other than USD, a line is malformed (the message names file, line and column),
            or rows overlap or leave a gap.
    """
    paths = sorted(directory.glob("*.csv"))
    price_paths = [path for path in paths if path.name != ALLOWANCES]
    if not price_paths:
        raise PriceBookError(f"no price file (*.csv) in {directory}; set SLUICEWAY_PRICES")
    prices = [row for path in price_paths for row in _read(path, _PriceLine, _PriceLine.price_row)]
    allowances = [
        allowance
        for path in paths
        if path.name == ALLOWANCES
        for allowance in _read(path, _AllowanceLine, _AllowanceLine.allowance)
    ]
    return PriceBook(prices, allowances)


def _read(
    path: Path, model: type[_LineT], build: Callable[[_LineT, str], _ValueT]
) -> Sequence[_ValueT]:
    lines = read_csv(path)
    for fault in _header_faults(lines, model):
        raise PriceBookError(f"{path}:1: {fault}")
    return [_built(line, model, build) for line in lines.lines]


def _built(line: CsvLine, model: type[_LineT], build: Callable[[_LineT, str], _ValueT]) -> _ValueT:
    try:
        return build(model.model_validate(line.cells), line.place)
    except ValidationError as error:
        fault = error.errors()[0]
        raise PriceBookError(f"{line.place}: {fault['loc'][0]}: {fault['msg']}") from error


def _header_faults(lines: CsvLines, model: type[BaseModel]) -> Iterator[str]:
    fields = model.model_fields
    for column in lines.columns:
        if lines.columns.count(column) > 1:
            yield f"column {column!r} stands twice; delete one"
        if column not in fields:
            yield _unknown(column)
    for name, field in fields.items():
        if field.is_required() and name not in lines.columns:
            yield f"column {name!r} is missing; add it, with a blank for what is unknown"


def _unknown(column: str) -> str:
    if _RATE_COLUMN.search(column):
        return f"column {column!r} is in an unknown currency; prices are in USD"
    return f"unknown column {column!r}; correct its name or delete it"
