"""What a provider gives away each day.

An allowance belongs to the whole account, and nothing says what else is using it. Invariant: a
deployment counts only on the share that its operators claim; none is claimed by default, so that
money is never missing from the ledger.
"""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum

from shared.domain.catalog import Provider
from shared.domain.errors import PriceBookError

NEURON_USD = Decimal("0.000011")
"""$0.011 per 1,000 neurons: Cloudflare's pricing page, 2026-08-28."""


class AllowanceUnit(StrEnum):
    """What an allowance is counted in."""

    NEURONS = "neurons"


@dataclass(frozen=True, slots=True)
class DailyAllowance:
    """How much of a day's usage this deployment need not pay for.

    Attributes:
        name: Whose counter the usage is taken from (`cloudflare/neurons`).
        units: How many units a UTC day has; more than 0.
        unit_usd: What one unit costs at list price.
    """

    name: str
    units: Decimal
    unit_usd: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """One dated line of the allowances.

    Attributes:
        provider: Who gives it.
        unit: What it is counted in.
        amount: How much the whole account gets for a UTC day.
        share: The part of it, 0 to 1, that this deployment may count on.
        effective_from: First UTC day it applies; None for as long as anyone knows.
        place: Where it is written (`prices/allowances.csv:2`).

    Raises:
        PriceBookError: The amount is negative, or the share is not between 0 and 1.
    """

    provider: Provider
    unit: AllowanceUnit
    amount: Decimal
    share: Decimal
    effective_from: date | None = None
    place: str = ""

    def __post_init__(self) -> None:
        if not (self.amount.is_finite() and self.amount >= 0):
            raise PriceBookError(f"{self}: the amount is negative or not a number")
        if not (self.share.is_finite() and 0 <= self.share <= 1):
            raise PriceBookError(f"{self}: the share {self.share} is not between 0 and 1")

    def __str__(self) -> str:
        where = f" ({self.place})" if self.place else ""
        return f"allowance {self.name}@{self.effective_from or 'base'}{where}"

    @property
    def name(self) -> str:
        """Return the name of the counter."""
        return f"{self.provider}/{self.unit}"

    @property
    def claimed(self) -> DailyAllowance | None:
        """Return what this deployment may count on; None when that is nothing."""
        units = self.amount * self.share
        return DailyAllowance(self.name, units, NEURON_USD) if units else None
