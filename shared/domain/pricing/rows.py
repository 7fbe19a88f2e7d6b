"""One model's price from one day on: its rates and what makes them dearer or cheaper."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from enum import StrEnum
from types import MappingProxyType

from shared.domain.catalog import Provider, ServiceTier
from shared.domain.errors import PriceBookError
from shared.domain.pricing.allowances import DailyAllowance


class ModelKind(StrEnum):
    """What a priced model does."""

    CHAT = "chat"
    EMBEDDING = "embedding"
    RERANK = "rerank"


@dataclass(frozen=True, slots=True)
class Rates:
    """What a million tokens cost, in USD or in neurons.

    Attributes:
        input: Prompt tokens.
        output: Completion tokens.
        cached: Prompt tokens read from the provider's cache.
        cache_write: Prompt tokens written into it.
        long_cache_write: The same, kept for longer on request.
    """

    input: Decimal
    output: Decimal
    cached: Decimal
    cache_write: Decimal
    long_cache_write: Decimal

    @property
    def dearest_input(self) -> Decimal:
        """Return the most that a million prompt tokens can cost."""
        return max(self.input, self.cached, self.cache_write, self.long_cache_write)


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceRow:
    """One model's price from one day on.

    Attributes:
        provider: Who bills.
        model: The provider's model name.
        kind: What the model does.
        input_usd_per_million: USD per million prompt tokens; None when unknown.
        output_usd_per_million: USD per million completion tokens; None when unknown.
        cached_input_usd_per_million: USD per million prompt tokens read from the cache; None when
            they cost what any others do.
        cache_write_usd_per_million: The same for tokens written into the cache.
        long_cache_write_usd_per_million: The same when a call asks for a longer stay there.
        neurons_per_million_input: Neurons per million prompt tokens; billed instead of the rounded
            USD rate when present.
        neurons_per_million_output: Neurons per million completion tokens.
        neurons_per_million_cached_input: Neurons per million prompt tokens read from the cache.
        context_tokens: The total window; for bge-m3 the padded budget of one call.
        dimensions: Length of an embedding model's vectors.
        effective_from: First UTC day of this price; None for as long as the model exists.
        retired_on: Last-known shutdown day, possibly in the future.
        long_context_above_tokens: Prompts longer than this pay the long-context factors.
        long_context_input_factor: What the whole prompt's rate is then multiplied by.
        long_context_output_factor: The same for the completion's rate.
        factor_by_tier: What every rate is multiplied by in a tier other than the default one.
        allowance: What of it is free each day, where this deployment may count on that.
        place: Where the row is written (`prices/openai.csv:12`); says nothing about the price.

    Raises:
        PriceBookError: A rate or factor is negative or not finite, one rate of a pair is missing,
            or the model retires before the price begins.
    """

    provider: Provider
    model: str
    kind: ModelKind
    input_usd_per_million: Decimal | None = None
    output_usd_per_million: Decimal | None = None
    cached_input_usd_per_million: Decimal | None = None
    cache_write_usd_per_million: Decimal | None = None
    long_cache_write_usd_per_million: Decimal | None = None
    neurons_per_million_input: Decimal | None = None
    neurons_per_million_output: Decimal | None = None
    neurons_per_million_cached_input: Decimal | None = None
    context_tokens: int | None = None
    dimensions: int | None = None
    effective_from: date | None = None
    retired_on: date | None = None
    long_context_above_tokens: int | None = None
    long_context_input_factor: Decimal | None = None
    long_context_output_factor: Decimal | None = None
    factor_by_tier: Mapping[ServiceTier, Decimal] = field(
        default_factory=lambda: MappingProxyType({}), hash=False
    )
    allowance: DailyAllowance | None = None
    place: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        self._require_pair(
            "USD rate",
            self.input_usd_per_million,
            self.output_usd_per_million,
            (
                self.cached_input_usd_per_million,
                self.cache_write_usd_per_million,
                self.long_cache_write_usd_per_million,
            ),
        )
        self._require_pair(
            "neuron rate",
            self.neurons_per_million_input,
            self.neurons_per_million_output,
            (self.neurons_per_million_cached_input,),
        )
        self._require_pair(
            "long-context factor",
            self.long_context_input_factor,
            self.long_context_output_factor,
            tuple(self.factor_by_tier.values()),
        )
        self._require_threshold()
        if self.effective_from and self.retired_on and self.retired_on < self.effective_from:
            raise PriceBookError(
                f"price {self}: retired_on {self.retired_on} lies before effective_from; "
                "correct one of the dates"
            )

    def __str__(self) -> str:
        return f"{self.id} ({self.place})" if self.place else self.id

    @property
    def id(self) -> str:
        """Return the stable name that ledger rows keep (`openai/gpt-6-luna@base`)."""
        return f"{self.provider}/{self.model}@{self.effective_from or 'base'}"

    @property
    def is_known(self) -> bool:
        """Tell whether the row holds a price; without one its model must not be called."""
        return self.input_usd_per_million is not None or self.neurons_per_million_input is not None

    @property
    def usd_rates(self) -> Rates | None:
        """Return the rates in USD; None when they are unknown."""
        if self.input_usd_per_million is None or self.output_usd_per_million is None:
            return None
        written = _or(self.cache_write_usd_per_million, self.input_usd_per_million)
        return Rates(
            input=self.input_usd_per_million,
            output=self.output_usd_per_million,
            cached=_or(self.cached_input_usd_per_million, self.input_usd_per_million),
            cache_write=written,
            long_cache_write=_or(self.long_cache_write_usd_per_million, written),
        )

    @property
    def neuron_rates(self) -> Rates | None:
        """Return the rates in neurons; None for a model that has none."""
        if self.neurons_per_million_input is None or self.neurons_per_million_output is None:
            return None
        return Rates(
            input=self.neurons_per_million_input,
            output=self.neurons_per_million_output,
            cached=_or(self.neurons_per_million_cached_input, self.neurons_per_million_input),
            cache_write=self.neurons_per_million_input,
            long_cache_write=self.neurons_per_million_input,
        )

    def _require_pair(
        self,
        what: str,
        first: Decimal | None,
        second: Decimal | None,
        others: tuple[Decimal | None, ...],
    ) -> None:
        amounts = (first, second, *others)
        if any(one is not None and not (one.is_finite() and one >= 0) for one in amounts):
            raise PriceBookError(f"price {self}: a {what} is negative or not a number")
        if (first is None) is not (second is None):
            raise PriceBookError(f"price {self}: one {what} is missing; give both or none")

    def _require_threshold(self) -> None:
        has_factors = self.long_context_input_factor is not None
        if has_factors is not (self.long_context_above_tokens is not None):
            raise PriceBookError(
                f"price {self}: long_context_above_tokens and the long-context factors go "
                "together; give all three or none"
            )
        if not self.is_known and any(
            rate is not None
            for rate in (
                self.cached_input_usd_per_million,
                self.cache_write_usd_per_million,
                self.long_cache_write_usd_per_million,
                self.neurons_per_million_cached_input,
            )
        ):
            raise PriceBookError(f"price {self}: a cache rate stands without the price it changes")


def _or(rate: Decimal | None, otherwise: Decimal) -> Decimal:
    return otherwise if rate is None else rate
