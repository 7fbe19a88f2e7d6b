"""How the options of a call change its price."""

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from types import MappingProxyType

from shared.domain.catalog import ServiceTier
from shared.domain.errors import UnknownPriceError
from shared.domain.pricing.charging import tier_named
from shared.domain.pricing.rows import PriceRow
from shared.domain.provider_calls import OptionValue

_TIER = "service_tier"
_ANY_TIER = "auto"
"""Lets OpenAI take what the project is set to, which is what it does anyway."""
_RETENTION = "prompt_cache_retention"
_USUAL_RETENTION = "in_memory"


def as_called(row: PriceRow, options: Mapping[str, OptionValue]) -> PriceRow:
    """Return the row as it applies to calls that are made with `options`.

    A call that names its service tier cannot cost what another tier does; one that asks for a long
    stay in the prompt cache pays for that.

    Raises:
        UnknownPriceError: The row has no price for the tier that the options ask for.
    """
    tier = options.get(_TIER, _ANY_TIER)
    if tier != _ANY_TIER:
        row = _in_tier(row, str(tier))
    if options.get(_RETENTION, _USUAL_RETENTION) != _USUAL_RETENTION:
        longer = row.long_cache_write_usd_per_million
        if longer is not None:
            row = replace(row, cache_write_usd_per_million=longer)
    return row


def _in_tier(row: PriceRow, name: str) -> PriceRow:
    tier = tier_named(name)
    if tier is ServiceTier.DEFAULT:
        return replace(row, factor_by_tier=MappingProxyType({})) if row.factor_by_tier else row
    if tier is None or tier not in row.factor_by_tier:
        raise UnknownPriceError(
            f"price {row} has no factor for service_tier {name!r}; the call is refused: "
            "add the factor to the price file or take the option out of the routing table"
        )
    factor_by_tier: dict[ServiceTier, Decimal] = {tier: row.factor_by_tier[tier]}
    return replace(row, factor_by_tier=MappingProxyType(factor_by_tier))
