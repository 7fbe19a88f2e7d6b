"""Reports over a day, a week or a month, for programs."""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Literal

from pydantic import BaseModel, ConfigDict

from shared.messages.frames import Usd
from shared.ports.reports import UsageRow

Period = Literal["daily", "weekly", "monthly"]


class PeriodSums(BaseModel):
    """One group's sums and rates, beside the keys that name the group; rates are of requests."""

    model_config = ConfigDict(extra="allow")

    requests: int
    cost_usd: Usd
    list_cost_usd: Usd
    input_tokens: int
    output_tokens: int
    neurons: Usd
    fallback_rate: float
    error_rate: float
    p50_ms: int | None
    p95_ms: int | None
    p99_ms: int | None


class Savings(BaseModel):
    """What the same tokens would have cost with OpenAI alone, and what was saved.

    `saved_share` is of the OpenAI-only bill; null when that is nothing.
    """

    openai_only_usd: Usd
    cost_usd: Usd
    saved_usd: Usd
    saved_share: float | None


class PeriodReport(BaseModel):
    """A period's costs, in whole days (UTC), both ends included.

    `users` are those who cost most, by provider; `users_left_out` counts the groups beyond them.
    """

    period: Period
    first: date
    last: date
    total: PeriodSums
    savings: Savings
    providers: list[PeriodSums]
    days: list[PeriodSums]
    users: list[PeriodSums]
    users_left_out: int


def period_sums(row: UsageRow) -> PeriodSums:
    """Return a usage row with rates instead of counts."""
    return PeriodSums.model_validate(
        {
            **row.keys,
            "requests": row.requests,
            "cost_usd": row.cost_usd,
            "list_cost_usd": row.list_cost_usd,
            "input_tokens": row.input_tokens,
            "output_tokens": row.output_tokens,
            "neurons": row.neurons,
            "fallback_rate": share(row.fallbacks, row.requests),
            "error_rate": share(row.errors, row.requests),
            "p50_ms": row.p50_ms,
            "p95_ms": row.p95_ms,
            "p99_ms": row.p99_ms,
        }
    )


def savings(rows: Sequence[UsageRow]) -> Savings:
    """Return the savings of all rows together."""
    openai_only = sum((row.openai_only_usd for row in rows), Decimal(0))
    cost = sum((row.cost_usd for row in rows), Decimal(0))
    return Savings(
        openai_only_usd=openai_only,
        cost_usd=cost,
        saved_usd=openai_only - cost,
        saved_share=round(float(1 - cost / openai_only), 4) if openai_only else None,
    )


def share(part: int, whole: int) -> float:
    """Return a part of a whole, 0 … 1, to four places; of nothing it is 0."""
    return round(part / whole, 4) if whole else 0.0
