"""Whether the models that we route to still live, by their providers' lists and by the price files.

Invariant: a list that could not be read changes nothing but what the calendar changes; of two dates
on which a model is to end, the earlier one counts.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum

from shared.domain.catalog import Provider
from shared.domain.errors import UnknownPriceError
from shared.domain.price_check import WARNING_DAYS
from shared.domain.pricing import PriceBook
from shared.domain.routes import Candidate
from shared.domain.routing import RoutingTable, routed

ModelKey = tuple[Provider, str]
"""A model by its provider and its name there."""


class ModelState(StrEnum):
    """What is known of a routed model."""

    LISTED = "listed"
    RETIRING = "retiring"
    """It ends within 30 days."""
    RETIRED = "retired"
    """The day on which it ends has come."""
    MISSING = "missing"
    """Its provider's list does not name it."""
    UNKNOWN = "unknown"
    """Its provider's list has never been read."""


@dataclass(frozen=True, slots=True)
class ListedModel:
    """A model as its provider lists it; `retires_on` is the UTC day on which it no longer answers.

    A provider may go on listing models of which that day has passed.
    """

    model: str
    retires_on: date | None = None


@dataclass(frozen=True, slots=True)
class ListRead:
    """A provider's list."""

    models: Sequence[ListedModel]


@dataclass(frozen=True, slots=True)
class ListUnread:
    """Why a provider's list could not be read."""

    error: str


ListOutcome = ListRead | ListUnread


@dataclass(frozen=True, slots=True)
class ModelStatus:
    """A routed model's state.

    Attributes:
        retires_on: The UTC day on which it no longer answers, as far as anybody has said.
        checked_at: When its provider's list was last read; None for never.
    """

    provider: Provider
    model: str
    state: ModelState
    retires_on: date | None
    checked_at: datetime | None

    @property
    def key(self) -> ModelKey:
        """Return what names the model."""
        return self.provider, self.model

    def __str__(self) -> str:
        return f"{self.provider}/{self.model}"

    def days_left(self, today: date) -> int | None:
        """Return how many days it still answers, 0 for a model that is gone; None for no end."""
        if self.state in {ModelState.RETIRED, ModelState.MISSING}:
            return 0
        return None if self.retires_on is None else max(0, (self.retires_on - today).days)


def routed_models(table: RoutingTable) -> Sequence[ModelKey]:
    """Return every model of the table once, whatever options it is called with."""
    return tuple(dict.fromkeys((one.provider, one.model) for one in routed(table)))


def successor_of(table: RoutingTable, key: ModelKey) -> Candidate | None:
    """Return who takes over when the model is gone; None when nobody was named."""
    named = (new for old, new in table.successors.items() if (old.provider, old.model) == key)
    return next(named, None)


def check_models(
    table: RoutingTable,
    book: PriceBook,
    outcomes: Mapping[Provider, ListOutcome],
    known: Sequence[ModelStatus],
    at: datetime,
) -> Sequence[ModelStatus]:
    """Hold the routed models against the lists.

    Args:
        table: What is routed.
        book: Whose `retired_on` counts as well.
        outcomes: What became of each routed provider's list.
        known: What the last check found.
        at: Now.
    """
    before = {status.key: status for status in known}
    return [
        _status(key, outcomes[key[0]], before.get(key), _priced_end(book, key, at), at)
        for key in routed_models(table)
    ]


def _status(
    key: ModelKey,
    outcome: ListOutcome,
    before: ModelStatus | None,
    priced_end: date | None,
    at: datetime,
) -> ModelStatus:
    known_end = None if before is None else before.retires_on
    if isinstance(outcome, ListRead):
        listed = next((one for one in outcome.models if one.model == key[1]), None)
        # A model that has left the list ended on the day that the list last named.
        end = known_end if listed is None else listed.retires_on
        is_listed: bool | None = listed is not None
        checked_at: datetime | None = at
    else:
        end, is_listed = known_end, _was_listed(before)
        checked_at = None if before is None else before.checked_at
    retires_on = min((day for day in (end, priced_end) if day is not None), default=None)
    state = _state(is_listed, retires_on, at.astimezone(UTC).date())
    return ModelStatus(*key, state, retires_on, checked_at)


def _was_listed(before: ModelStatus | None) -> bool | None:
    if before is None or before.checked_at is None:
        return None
    return before.state is not ModelState.MISSING


def _state(is_listed: bool | None, retires_on: date | None, today: date) -> ModelState:  # noqa: FBT001 - three answers
    if retires_on is not None and retires_on <= today:
        return ModelState.RETIRED
    if is_listed is False:
        return ModelState.MISSING
    if retires_on is not None and retires_on <= today + timedelta(days=WARNING_DAYS):
        return ModelState.RETIRING
    return ModelState.UNKNOWN if is_listed is None else ModelState.LISTED


def _priced_end(book: PriceBook, key: ModelKey, at: datetime) -> date | None:
    try:
        return book.price_at(*key, at).retired_on
    except UnknownPriceError:
        return None
