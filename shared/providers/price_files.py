"""Reads the price files into a price book.

Invariant: a file with a fault anywhere yields no price book at all, and the error names the place.
"""

import csv
import io
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from shared.domain.catalog import Provider
from shared.domain.errors import PriceBookError
from shared.domain.pricing import ModelKind, PriceBook, PriceRow


def _blank_to_none(cell: str) -> str | None:
    return cell.strip() or None


_Rate = Annotated[Decimal | None, BeforeValidator(_blank_to_none)]
_Count = Annotated[int | None, BeforeValidator(_blank_to_none)]
_Day = Annotated[date | None, BeforeValidator(_blank_to_none)]


class _PriceLine(BaseModel):
    """One line of a price file; `source` and `as_of` tell people where the price was read."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    provider: Provider
    model: str
    kind: ModelKind
    input_usd_per_million: _Rate
    output_usd_per_million: _Rate
    neurons_per_million_input: _Rate
    neurons_per_million_output: _Rate
    context_tokens: _Count
    dimensions: _Count
    effective_from: _Day
    retired_on: _Day
    source: str
    as_of: date
    long_context_above_tokens: _Count = None

    def price_row(self) -> PriceRow:
        """Return the line without its provenance."""
        return PriceRow(
            provider=self.provider,
            model=self.model,
            kind=self.kind,
            input_usd_per_million=self.input_usd_per_million,
            output_usd_per_million=self.output_usd_per_million,
            neurons_per_million_input=self.neurons_per_million_input,
            neurons_per_million_output=self.neurons_per_million_output,
            context_tokens=self.context_tokens,
            dimensions=self.dimensions,
            effective_from=self.effective_from,
            retired_on=self.retired_on,
            long_context_above_tokens=self.long_context_above_tokens,
        )


def load_price_book(directory: Path) -> PriceBook:
    """Read every `*.csv` of `directory` into one price book.

    Raises:
        PriceBookError: There is no price file, a file cannot be read, a line is malformed (the
            message names file, line and column), or rows contradict each other.
    """
    paths = sorted(directory.glob("*.csv"))
    if not paths:
        raise PriceBookError(f"no price file (*.csv) in {directory}; set SLUICEWAY_PRICES")
    return PriceBook(row for path in paths for row in _rows_of(path))


def _rows_of(path: Path) -> list[PriceRow]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise PriceBookError(f"price file {path} cannot be read: {error}") from error
    lines = csv.DictReader(io.StringIO(text), restkey="(cells beyond the header)")
    return [_row_of(f"{path}:{lines.line_num}", line) for line in lines]


def _row_of(place: str, line: Mapping[str, str | None]) -> PriceRow:
    if None in line.values():
        raise PriceBookError(f"{place}: has fewer cells than the header; write every comma")
    try:
        return _PriceLine.model_validate(line).price_row()
    except ValidationError as error:
        fault = error.errors()[0]
        raise PriceBookError(f"{place}: {fault['loc'][0]}: {fault['msg']}") from error
    except PriceBookError as error:
        raise PriceBookError(f"{place}: {error}") from error
