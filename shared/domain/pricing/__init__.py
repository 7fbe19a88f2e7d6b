"""What a call costs: dated price rows, exact decimal arithmetic over them, and what is free.

Invariant: an amount is the exact product of tokens and rates, never rounded and never a float; a
call whose price is unknown is refused and never costs $0.
"""

from shared.domain.pricing.allowances import (
    NEURON_USD,
    Allowance,
    AllowanceUnit,
    DailyAllowance,
)
from shared.domain.pricing.book import PriceBook, retiring
from shared.domain.pricing.call_options import as_called
from shared.domain.pricing.charging import Charge, charge, worst_case_usd
from shared.domain.pricing.rows import ModelKind, PriceRow, Rates

__all__ = [
    "NEURON_USD",
    "Allowance",
    "AllowanceUnit",
    "Charge",
    "DailyAllowance",
    "ModelKind",
    "PriceBook",
    "PriceRow",
    "Rates",
    "as_called",
    "charge",
    "retiring",
    "worst_case_usd",
]
