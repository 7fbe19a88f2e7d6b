"""Says at start what `sluiceway prices check` says: which routed models end, or have no price."""

import structlog

from shared.domain.price_check import PriceCheck

_log = structlog.stdlib.get_logger(__name__)


def warn_about_prices(check: PriceCheck) -> None:
    """Log one line per model that needs a person."""
    for row in check.retired:
        _log.warning("prices.model_retired", price_id=row.id, retired_on=str(row.retired_on))
    for row in check.retiring:
        _log.warning("prices.model_retires_soon", price_id=row.id, retired_on=str(row.retired_on))
    for unpriced in check.unpriced:
        model = str(unpriced.candidate)
        _log.warning("prices.model_unpriced", model=model, reason=unpriced.reason)
