"""The price book: which row is in force when.

Invariant: between a model's first price and its last no day is without one, so that a call which
could be priced when it was made can be priced whenever it is asked about.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

from shared.domain.catalog import Provider
from shared.domain.errors import PriceBookError, UnknownPriceError
from shared.domain.pricing.allowances import Allowance, DailyAllowance
from shared.domain.pricing.rows import PriceRow


class PriceBook:
    """Every known price, past and present; of each model the newest row in force applies."""

    def __init__(self, rows: Iterable[PriceRow], allowances: Iterable[Allowance] = ()) -> None:
        """Index the rows.

        Raises:
            PriceBookError: Two rows of one model begin on the same day, a model's rows leave days
                between them without a price, or two allowances apply at once.
        """
        self.rows = tuple(rows)
        self.allowances = tuple(allowances)
        self._newest_first_by_model = _newest_first(self.rows)
        self._newest_first_by_provider = _newest_allowances_first(self.allowances)

    def price_at(self, provider: Provider, model: str, at: datetime) -> PriceRow:
        """Return the row in force on `at`'s UTC day; a retired model keeps its last price.

        Late events and answers that arrive after a shutdown must stay priceable. The row carries
        what of the provider's daily allowance this deployment may count on.

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
                    return self._with_allowance(row, day)
                break
        raise UnknownPriceError(
            f"no price for {provider}/{model} on {day}; the call is refused: "
            "add a row to the price files"
        )

    def rows_in_force(self, at: datetime) -> Sequence[PriceRow]:
        """Return of each model the row in force on `at`'s UTC day, blank ones included."""
        day = at.astimezone(UTC).date()
        return [
            next(row for row in rows if row.effective_from is None or row.effective_from <= day)
            for rows in self._newest_first_by_model.values()
            if any(row.effective_from is None or row.effective_from <= day for row in rows)
        ]

    def _with_allowance(self, row: PriceRow, day: date) -> PriceRow:
        allowance = self._allowance_on(row.provider, day)
        if allowance is None or row.neuron_rates is None:
            return row
        return replace(row, allowance=allowance)

    def _allowance_on(self, provider: Provider, day: date) -> DailyAllowance | None:
        for allowance in self._newest_first_by_provider.get(provider, ()):
            if allowance.effective_from is None or allowance.effective_from <= day:
                return allowance.claimed
        return None


def retiring(rows: Iterable[PriceRow], today: date, within_days: int) -> tuple[PriceRow, ...]:
    """Return the rows whose model is gone by `today` + `within_days`, the earliest first.

    Models that are gone already are included: pass the rows in use, not the whole book.
    """
    horizon = today + timedelta(days=within_days)
    dated = [(row.retired_on, row.id, row) for row in rows if row.retired_on is not None]
    return tuple(row for retired_on, _, row in sorted(dated, key=_by_date) if retired_on <= horizon)


def _by_date(dated: tuple[date, str, PriceRow]) -> tuple[date, str]:
    return dated[0], dated[1]


def _newest_first(rows: Iterable[PriceRow]) -> dict[tuple[Provider, str], list[PriceRow]]:
    rows_by_model: defaultdict[tuple[Provider, str], list[PriceRow]] = defaultdict(list)
    for row in rows:
        rows_by_model[row.provider, row.model].append(row)
    for dated in rows_by_model.values():
        dated.sort(key=_start)
        for earlier, later in pairwise(dated):
            _require_succession(earlier, later)
        dated.reverse()
    return dict(rows_by_model)


def _start(row: PriceRow) -> date:
    return row.effective_from or date.min


def _require_succession(earlier: PriceRow, later: PriceRow) -> None:
    """Make sure that the price goes on without a day that has two or none."""
    if earlier.effective_from == later.effective_from:
        raise PriceBookError(
            f"price {later} stands twice, also as {earlier}: the two overlap; "
            "delete one row or give it an effective_from"
        )
    if earlier.retired_on is not None and earlier.retired_on < _start(later):
        raise PriceBookError(
            f"price {later} leaves a gap after {earlier}, which ends on {earlier.retired_on}: "
            "days between them have no price; correct one of the dates"
        )
    if earlier.is_known and not later.is_known:
        raise PriceBookError(
            f"price {later} is blank, which leaves a gap after {earlier}: "
            "fill in its rates or delete the row"
        )


def _newest_allowances_first(
    allowances: Iterable[Allowance],
) -> dict[Provider, list[Allowance]]:
    by_provider: defaultdict[Provider, list[Allowance]] = defaultdict(list)
    for allowance in allowances:
        by_provider[allowance.provider].append(allowance)
    for dated in by_provider.values():
        dated.sort(key=lambda one: one.effective_from or date.min)
        for earlier, later in pairwise(dated):
            if earlier.effective_from == later.effective_from:
                raise PriceBookError(f"{later} stands twice, also as {earlier}; delete one")
        dated.reverse()
    return dict(by_provider)
