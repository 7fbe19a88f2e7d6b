"""What a usage costs by a row, and the most that a call can cost.

Invariant: whatever a provider reports within the token bounds, in any tier and with any use of its
cache, the charge is at most the worst case.
"""

from dataclasses import dataclass
from decimal import Decimal

from shared.domain.catalog import ServiceTier
from shared.domain.errors import UnknownPriceError
from shared.domain.pricing.allowances import NEURON_USD, DailyAllowance
from shared.domain.pricing.rows import PriceRow, Rates
from shared.domain.usage import TokenUsage

_MILLIONTH = Decimal("0.000001")
_ONE = Decimal(1)
_TIER_BY_NAME = {tier.value: tier for tier in ServiceTier} | {"priority": ServiceTier.FAST}
"""OpenAI answers `priority` also when it was asked for `fast` (its SDK 3.54.0)."""


@dataclass(frozen=True, slots=True)
class Charge:
    """What one usage costs at list price.

    Attributes:
        price_id: The row it was priced by.
        cost_usd: Exact US dollars.
        neurons: Exact neurons computed from tokens; None where none are known.
        allowance: What of the neurons may be free; the settlement finds out how much is left.
    """

    price_id: str
    cost_usd: Decimal
    neurons: Decimal | None = None
    allowance: DailyAllowance | None = None


def charge(row: PriceRow, usage: TokenUsage) -> Charge:
    """Return what `usage` costs by `row`, exactly, from tokens alone.

    Neurons that a provider reports are rounded; they are recorded elsewhere and not billed by.
    A tier that the row has no price for is charged as its dearest one. In a batch, cached tokens
    cost what any others do: nobody has published another rate (2026-11).

    Raises:
        UnknownPriceError: The row's price is blank.
    """
    factor = _tier_factor(row, usage.service_tier) * _MILLIONTH
    if row.neuron_rates is not None:
        neurons = _amount(row, row.neuron_rates, usage) * factor
        return Charge(row.id, neurons * NEURON_USD, neurons, row.allowance)
    if row.usd_rates is not None:
        return Charge(row.id, _amount(row, row.usd_rates, usage) * factor)
    raise _blank(row)


def worst_case_usd(row: PriceRow, input_tokens: int, max_output_tokens: int) -> Decimal:
    """Return the USD that no call within these token counts can exceed: the hold.

    Every prompt token is taken at the dearest rate, every completion token as used, and both at
    the factors of a long prompt if this one may be long, in the dearest tier. Grows with both
    arguments, so bounds on tokens give a bound on money. What is free is not taken off.

    Raises:
        UnknownPriceError: The row's price is blank.
    """
    rates, unit_usd = row.neuron_rates, NEURON_USD
    if rates is None:
        rates, unit_usd = row.usd_rates, _ONE
    if rates is None:
        raise _blank(row)
    for_input, for_output = _long_context_factors(row, input_tokens)
    amount = input_tokens * rates.dearest_input * max(_ONE, for_input)
    amount += max_output_tokens * rates.output * max(_ONE, for_output)
    return amount * _dearest_tier_factor(row) * _MILLIONTH * unit_usd


def tier_named(name: str) -> ServiceTier | None:
    """Return the tier that a provider calls so; None for one that nobody has priced."""
    return _TIER_BY_NAME.get(name)


def _amount(row: PriceRow, rates: Rates, usage: TokenUsage) -> Decimal:
    is_batch = usage.service_tier == ServiceTier.BATCH
    cached = 0 if is_batch else min(usage.cached_tokens, usage.input_tokens)
    written = min(usage.cache_write_tokens, usage.input_tokens - cached)
    plain = usage.input_tokens - cached - written
    for_input = plain * rates.input + cached * rates.cached + written * rates.cache_write
    for_output = usage.output_tokens * rates.output
    input_factor, output_factor = _long_context_factors(row, usage.input_tokens)
    return for_input * input_factor + for_output * output_factor


def _long_context_factors(row: PriceRow, input_tokens: int) -> tuple[Decimal, Decimal]:
    threshold = row.long_context_above_tokens
    if threshold is None or input_tokens <= threshold:
        return _ONE, _ONE
    first, second = row.long_context_input_factor, row.long_context_output_factor
    return _ONE if first is None else first, _ONE if second is None else second


def _tier_factor(row: PriceRow, name: str | None) -> Decimal:
    tier = ServiceTier.DEFAULT if name is None else tier_named(name)
    if tier is ServiceTier.DEFAULT:
        return _ONE
    if tier is None or tier not in row.factor_by_tier:
        return _dearest_tier_factor(row)
    return row.factor_by_tier[tier]


def _dearest_tier_factor(row: PriceRow) -> Decimal:
    return max(_ONE, *row.factor_by_tier.values()) if row.factor_by_tier else _ONE


def _blank(row: PriceRow) -> UnknownPriceError:
    return UnknownPriceError(f"price {row} is blank; the call is refused: fill in its rates")
