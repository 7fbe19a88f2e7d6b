"""A provider's invoice as CSV: what it says each model cost on each day.

OpenAI's cost export names days by Unix time and models by line item (`gpt-6-luna-2026-05-01,
input`); Cloudflare's usage names days, models and neurons, with or without an amount. Columns may
come in any order and among others; a file that cannot be read in full is refused with the line that
is wrong.
"""

import csv
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation

from shared.domain.catalog import CLOUDFLARE, OPENAI, Provider
from shared.domain.errors import InvoiceError
from shared.domain.pricing import NEURON_USD

MAX_LINES = 100_000
_MAX_NAME = 200
_MAX_USD = Decimal(10) ** 9
_DAY_COLUMNS = (
    "start_time_iso",
    "start_time",
    "date",
    "day",
    "datetime",
    "usage_date",
    "chargeperiodstart",
    "charge_period_start",
)
_MODEL_COLUMNS: Mapping[Provider, Sequence[str]] = {
    OPENAI: ("line_item", "model", "snapshot_id"),
    CLOUDFLARE: ("model", "model_id", "modelid", "model_name"),
}
_COST_COLUMNS = ("amount_value", "cost_usd", "cost", "amount", "amount_usd", "billedcost")
_NEURON_COLUMNS = ("neurons", "total_neurons", "totalneurons", "sum_totalneurons")
_CURRENCY_COLUMNS = ("amount_currency", "currency", "billingcurrency")


@dataclass(frozen=True, slots=True)
class InvoiceLine:
    """What the provider wants for one model on one UTC day."""

    day: date
    model: str
    cost_usd: Decimal


@dataclass(frozen=True, slots=True)
class _Columns:
    day: int
    model: int
    cost: int | None
    neurons: int | None
    currency: int | None

    @property
    def last(self) -> int:
        return max(
            place
            for place in (self.day, self.model, self.cost, self.neurons, self.currency)
            if place is not None
        )


@dataclass(frozen=True, slots=True)
class InvoiceFile:
    """What a file says.

    Attributes:
        lines: One per day and model, in their order; never empty.
        at_list_price: Amounts were computed from neurons, so that nothing free is taken off.
    """

    lines: Sequence[InvoiceLine]
    at_list_price: bool


def read_invoice(provider: Provider, text: str) -> InvoiceFile:
    """Return what an invoice says.

    Raises:
        InvoiceError: A column is missing or a line cannot be read; the message names it.
    """
    rows = csv.reader(text.removeprefix("\ufeff").splitlines(), strict=True)
    sums: defaultdict[tuple[date, str], Decimal] = defaultdict(Decimal)
    at_list_price = False
    for columns, line in _lines(provider, rows):
        sums[line.day, line.model] += line.cost_usd
        at_list_price = columns.cost is None
    if not sums:
        raise InvoiceError("line 1: the file has no lines below its header")
    lines = [InvoiceLine(day, model, cost) for (day, model), cost in sorted(sums.items())]
    return InvoiceFile(lines, at_list_price)


def _lines(provider: Provider, rows: Iterator[list[str]]) -> Iterator[tuple[_Columns, InvoiceLine]]:
    columns: _Columns | None = None
    number = 0
    try:
        for number, row in enumerate(rows, start=1):
            if not any(cell.strip() for cell in row):
                continue
            if number > MAX_LINES:
                raise InvoiceError(f"line {number}: more than {MAX_LINES} lines; split the file")
            if columns is None:
                columns = _columns(provider, row)
                continue
            yield columns, _line(columns, [cell.strip() for cell in row], number)
    except csv.Error as error:
        raise InvoiceError(f"line {number + 1}: this is no CSV: {error}") from error


def _columns(provider: Provider, header: Sequence[str]) -> _Columns:
    names = [name.strip().lower().replace(" ", "_").replace("-", "_") for name in header]

    def place(candidates: Sequence[str]) -> int | None:
        return next((names.index(name) for name in candidates if name in names), None)

    day, model = place(_DAY_COLUMNS), place(_MODEL_COLUMNS[provider])
    cost, neurons = place(_COST_COLUMNS), place(_NEURON_COLUMNS)
    if day is None:
        raise InvoiceError(f"line 1: no column for the day; name one {_DAY_COLUMNS[0]} or date")
    if model is None:
        wanted = " or ".join(_MODEL_COLUMNS[provider][:2])
        raise InvoiceError(f"line 1: no column for the model; name one {wanted}")
    if cost is None and (neurons is None or provider != CLOUDFLARE):
        raise InvoiceError(f"line 1: no column for the cost; name one {_COST_COLUMNS[0]} or cost")
    return _Columns(day, model, cost, neurons, place(_CURRENCY_COLUMNS))


def _line(columns: _Columns, row: Sequence[str], number: int) -> InvoiceLine:
    if len(row) <= columns.last:
        raise InvoiceError(f"line {number}: {len(row)} cells are fewer than the header has")
    if columns.currency is not None and row[columns.currency].lower() not in {"usd", ""}:
        raise InvoiceError(f"line {number}: currency {row[columns.currency]!r} is not USD")
    model = row[columns.model].partition(",")[0].strip()
    if not model or len(model) > _MAX_NAME:
        raise InvoiceError(f"line {number}: no model, or more than {_MAX_NAME} characters")
    return InvoiceLine(_day(row[columns.day], number), model, _cost(columns, row, number))


def _day(cell: str, number: int) -> date:
    try:
        if cell.isdecimal():
            return datetime.fromtimestamp(int(cell), UTC).date()
        moment = datetime.fromisoformat(cell)
    except (ValueError, OverflowError, OSError) as error:
        raise InvoiceError(f"line {number}: {cell[:40]!r} is no day") from error
    return (moment.astimezone(UTC) if moment.tzinfo else moment).date()


def _cost(columns: _Columns, row: Sequence[str], number: int) -> Decimal:
    if columns.cost is not None:
        return _amount(row[columns.cost], number)
    return _amount(row[columns.neurons or 0], number) * NEURON_USD


def _amount(cell: str, number: int) -> Decimal:
    try:
        amount = Decimal(cell.removeprefix("$") or "0")
    except InvalidOperation as error:
        raise InvoiceError(f"line {number}: {cell[:40]!r} is no number") from error
    if not amount.is_finite() or abs(amount) > _MAX_USD:
        raise InvoiceError(f"line {number}: {cell[:40]!r} is no amount")
    return amount
