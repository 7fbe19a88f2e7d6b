"""What the same tokens would have cost had OpenAI answered everything: the bill to compare with.

The price is that of the OpenAI model that the routing table names for the tier and operation, on
the day of the call.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from itertools import pairwise

from shared.domain.catalog import OPENAI, Operation, Tier
from shared.domain.pricing import PriceBook
from shared.domain.routing import RoutingTable

_NO_FACTOR = Decimal(1)


@dataclass(frozen=True, slots=True)
class ReferencePrice:
    """OpenAI's price for a tier and operation, from one UTC day to before another.

    Attributes:
        first_day: The first day; None for as long as the model exists.
        end: The first day of the next price; None when there is none.
        long_context_above_tokens: Longer prompts pay the long-context factors.
    """

    tier: Tier
    operation: Operation
    first_day: date | None
    end: date | None
    input_usd_per_million: Decimal
    output_usd_per_million: Decimal
    long_context_above_tokens: int | None
    long_context_input_factor: Decimal
    long_context_output_factor: Decimal


def reference_prices(table: RoutingTable, book: PriceBook) -> Sequence[ReferencePrice]:
    """Return the prices of each route's first OpenAI candidate; a route without one has none."""
    return [
        price
        for (tier, operation), route in table.routes.items()
        for candidate in [c for c in route.every_candidate if c.provider == OPENAI][:1]
        for price in _prices(tier, operation, candidate.model, book)
    ]


def _prices(
    tier: Tier, operation: Operation, model: str, book: PriceBook
) -> Sequence[ReferencePrice]:
    rows = sorted(
        (row for row in book.rows if (row.provider, row.model) == (OPENAI, model)),
        key=lambda row: row.effective_from or date.min,
    )
    return [
        ReferencePrice(
            tier,
            operation,
            row.effective_from,
            after.effective_from if after else None,
            row.input_usd_per_million,
            row.output_usd_per_million,
            row.long_context_above_tokens,
            row.long_context_input_factor or _NO_FACTOR,
            row.long_context_output_factor or _NO_FACTOR,
        )
        for row, after in pairwise([*rows, None])
        if row is not None
        and row.input_usd_per_million is not None
        and row.output_usd_per_million is not None
    ]
