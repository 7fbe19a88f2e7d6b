"""What a call costs: dated price rows and exact decimal arithmetic over them.

Invariant: an amount is the exact product of tokens and rates, never rounded and never a float; a
call whose price is unknown is refused and never costs $0.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum

from shared.domain.catalog import Provider
from shared.domain.errors import PriceBookError, UnknownPriceError
from shared.domain.usage import TokenUsage

NEURON_USD = Decimal("0.000011")
"""$0.011 per 1,000 neurons: Cloudflare's pricing page, 2026-08-28."""
LONG_CONTEXT_INPUT_FACTOR = Decimal(2)
LONG_CONTEXT_OUTPUT_FACTOR = Decimal("1.5")
"""Both as in genai-prices 0.2.3: beyond a row's threshold the whole request costs more."""

_MILLIONTH = Decimal("0.000001")


class ModelKind(StrEnum):
    """What a priced model does."""

    CHAT = "chat"
    EMBEDDING = "embedding"
    RERANK = "rerank"


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceRow:
    """One model's standard price from one day on.

    Attributes:
        provider: Who bills.
        model: The provider's model name.
        kind: What the model does.
        input_usd_per_million: USD per million prompt tokens; None when unknown.
        output_usd_per_million: USD per million completion tokens; None when unknown.
        neurons_per_million_input: Neurons per million prompt tokens; billed instead of the rounded
            USD rate when present.
        neurons_per_million_output: Neurons per million completion tokens.
        context_tokens: The total window; for bge-m3 the padded budget of one call.
        dimensions: Length of an embedding model's vectors.
        effective_from: First UTC day of this price; None for as long as the model exists.
        retired_on: Last-known shutdown day, possibly in the future.
        long_context_above_tokens: Prompts longer than this pay the long-context factors.

    Raises:
        PriceBookError: A rate is negative or not finite, one rate of a pair is missing, or the
            model retires before the price begins.
    """

    provider: Provider
    model: str
    kind: ModelKind
    input_usd_per_million: Decimal | None = None
    output_usd_per_million: Decimal | None = None
    neurons_per_million_input: Decimal | None = None
    neurons_per_million_output: Decimal | None = None
    context_tokens: int | None = None
    dimensions: int | None = None
    effective_from: date | None = None
    retired_on: date | None = None
    long_context_above_tokens: int | None = None

    def __post_init__(self) -> None:
        self._require_rates("USD", self.input_usd_per_million, self.output_usd_per_million)
        self._require_rates(
            "neuron", self.neurons_per_million_input, self.neurons_per_million_output
        )
        if self.effective_from and self.retired_on and self.retired_on < self.effective_from:
            raise PriceBookError(
                f"price {self.id}: retired_on {self.retired_on} lies before effective_from; "
                "correct one of the dates"
            )

    def _require_rates(self, unit: str, *rates: Decimal | None) -> None:
        if any(rate is not None and not (rate.is_finite() and rate >= 0) for rate in rates):
            raise PriceBookError(f"price {self.id}: a {unit} rate is negative or not a number")
        if any(rate is None for rate in rates) and any(rate is not None for rate in rates):
            raise PriceBookError(f"price {self.id}: one {unit} rate is missing; give both or none")

    @property
    def id(self) -> str:
        """Return the stable name that ledger rows keep (`openai/gpt-6-luna@base`)."""
        return f"{self.provider}/{self.model}@{self.effective_from or 'base'}"

    @property
    def is_known(self) -> bool:
        """Tell whether the row holds a price; without one its model must not be called."""
        return self.input_usd_per_million is not None or self.neurons_per_million_input is not None


@dataclass(frozen=True, slots=True)
class Charge:
    """What one usage costs at list price.

    Attributes:
        price_id: The row it was priced by.
        cost_usd: Exact US dollars.
        neurons: Exact neurons computed from tokens; None where the provider has no such unit.
    """

    price_id: str
    cost_usd: Decimal
    neurons: Decimal | None = None


class PriceBook:
    """Every known price, past and present; of each model the newest row in force applies."""

    def __init__(self, rows: Iterable[PriceRow]) -> None:
        """Index the rows.

        Raises:
            PriceBookError: Two rows of one model begin on the same day.
        """
        self.rows = tuple(rows)
        rows_by_model: defaultdict[tuple[Provider, str], list[PriceRow]] = defaultdict(list)
        seen: set[str] = set()
        for row in self.rows:
            if row.id in seen:
                raise PriceBookError(
                    f"price {row.id} stands twice; delete one row or give it an effective_from"
                )
            seen.add(row.id)
            rows_by_model[row.provider, row.model].append(row)
        self._newest_first_by_model = {
            model: sorted(rows, key=lambda row: row.effective_from or date.min, reverse=True)
            for model, rows in rows_by_model.items()
        }

    def price_at(self, provider: Provider, model: str, at: datetime) -> PriceRow:
        """Return the row in force on `at`'s UTC day; a retired model keeps its last price.

        Late events and answers that arrive after a shutdown must stay priceable.

        Args:
            provider: Who billed.
            model: The provider's model name.
            at: When the call happened, with a time zone.

        Raises:
            UnknownPriceError: No row of this model is in force, or the row's price is blank.
        """
        day = at.astimezone(UTC).date()
        for row in self._newest_first_by_model.get((provider, model), ()):
            if row.effective_from is None or row.effective_from <= day:
                if row.is_known:
                    return row
                break
        raise UnknownPriceError(
            f"no price for {provider}/{model} on {day}; the call is refused: "
            "add a row to the price files"
        )


def charge(row: PriceRow, usage: TokenUsage) -> Charge:
    """Return what `usage` costs by `row`, exactly, from tokens alone.

    Neurons that a provider reports are rounded; they are recorded elsewhere and not billed by.

    Raises:
        UnknownPriceError: The row's price is blank.
    """
    if row.neurons_per_million_input is not None and row.neurons_per_million_output is not None:
        neurons = _amount(row, row.neurons_per_million_input, row.neurons_per_million_output, usage)
        return Charge(row.id, neurons * NEURON_USD, neurons)
    if row.input_usd_per_million is not None and row.output_usd_per_million is not None:
        usd = _amount(row, row.input_usd_per_million, row.output_usd_per_million, usage)
        return Charge(row.id, usd)
    raise UnknownPriceError(f"price {row.id} is blank; the call is refused: fill in its rates")


def worst_case_usd(row: PriceRow, input_tokens: int, max_output_tokens: int) -> Decimal:
    """Return the USD that no call within these token counts can exceed: the hold.

    Grows with both arguments, so bounds on tokens give a bound on money.

    Raises:
        UnknownPriceError: The row's price is blank.
    """
    return charge(row, TokenUsage(input_tokens, max_output_tokens)).cost_usd


def retiring(rows: Iterable[PriceRow], today: date, within_days: int) -> tuple[PriceRow, ...]:
    """Return the rows whose model is gone by `today` + `within_days`, the earliest first.

    Models that are gone already are included: pass the rows in use, not the whole book.
    """
    horizon = today + timedelta(days=within_days)
    dated = [(row.retired_on, row.id, row) for row in rows if row.retired_on is not None]
    return tuple(row for retired_on, _, row in sorted(dated, key=_by_date) if retired_on <= horizon)


def _by_date(dated: tuple[date, str, PriceRow]) -> tuple[date, str]:
    return dated[0], dated[1]


def _amount(
    row: PriceRow, input_per_million: Decimal, output_per_million: Decimal, usage: TokenUsage
) -> Decimal:
    input_amount = usage.input_tokens * input_per_million
    output_amount = usage.output_tokens * output_per_million
    threshold = row.long_context_above_tokens
    if threshold is not None and usage.input_tokens > threshold:
        input_amount *= LONG_CONTEXT_INPUT_FACTOR
        output_amount *= LONG_CONTEXT_OUTPUT_FACTOR
    return (input_amount + output_amount) * _MILLIONTH
