"""What ops should know about the prices of the models that they route to."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from shared.domain.errors import UnknownPriceError
from shared.domain.pricing import PriceBook, PriceRow, retiring
from shared.domain.routes import Candidate
from shared.domain.routing import RoutingTable, price_of, routed

WARNING_DAYS = 30
"""Cloudflare's models end on about three weeks' notice (its changelog, 2026-05-08)."""


@dataclass(frozen=True, slots=True)
class Unpriced:
    """A routed model whose calls are refused, and why."""

    candidate: Candidate
    reason: str


@dataclass(frozen=True, slots=True)
class PriceCheck:
    """The routing table held against the price book on one day.

    Attributes:
        retired: Models that are gone, the earliest first.
        retiring: Models that are gone within 30 days, the earliest first.
        unpriced: Models without a price.
    """

    at: datetime
    retired: Sequence[PriceRow]
    retiring: Sequence[PriceRow]
    unpriced: Sequence[Unpriced]

    @property
    def is_broken(self) -> bool:
        """Tell whether calls fail today."""
        return bool(self.retired or self.unpriced)


def check_routed_prices(table: RoutingTable, book: PriceBook, at: datetime) -> PriceCheck:
    """Return what is wrong with the prices of the routed models at `at`, or soon will be."""
    rows: list[PriceRow] = []
    unpriced: list[Unpriced] = []
    for candidate in routed(table):
        try:
            rows.append(price_of(book, candidate, at))
        except UnknownPriceError as error:
            unpriced.append(Unpriced(candidate, str(error)))
    today = at.astimezone(UTC).date()
    retired = retiring(rows, today, within_days=0)
    soon = retiring(rows, today, WARNING_DAYS)[len(retired) :]
    return PriceCheck(at, retired, soon, unpriced)
