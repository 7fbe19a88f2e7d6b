"""The life of models: providers' lists, what checks found in them, and who checks when."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from shared.domain.catalog import Provider
from shared.domain.model_alerts import ModelAlert
from shared.domain.model_states import ListedModel, ListOutcome, ModelStatus


class ModelCatalogue(Protocol):
    """One provider's list of models."""

    async def list_models(self) -> Sequence[ListedModel]:
        """Return the whole list, never a part of it and never nothing.

        Raises:
            ProviderTransientError: The list could not be read.
            ProviderPermanentError: The provider refused the request for good.
        """
        ...


@dataclass(frozen=True, slots=True)
class ModelFindings:
    """What one check found, to be stored together.

    Attributes:
        statuses: Of every routed model.
        outcomes: Each provider's list with what became of it.
        alerts: What is to be told; those that have been told are left out by the store.
    """

    at: datetime
    statuses: Sequence[ModelStatus]
    outcomes: Sequence[tuple[Provider, ListOutcome]]
    alerts: Sequence[ModelAlert]


class ModelChecks(Protocol):
    """What a worker needs to check models; however many workers ask, one gets each check."""

    async def claim(self, worker: str, at: datetime, *, is_night: bool) -> Sequence[int]:
        """Return the checks that are now this worker's to make, for five minutes; often none.

        They are those that somebody asked for and, once per UTC day, the nightly one: when
        `is_night`, or as soon as no check is younger than a day. While a list is unreadable,
        a check is asked for by itself every quarter of an hour.

        Raises:
            DatabaseUnavailableError: Nobody knows; ask again.
        """
        ...

    async def known(self) -> Sequence[ModelStatus]:
        """Return what is known of each model that was ever checked.

        Raises:
            DatabaseUnavailableError: The database did not answer.
        """
        ...

    async def finish(self, checks: Sequence[int], found: ModelFindings) -> None:
        """Store what was found and close the checks, all or nothing.

        Idempotent by model, step and occasion: an alert that was fired is not fired again.

        Raises:
            DatabaseUnavailableError: Nothing is known to be stored; the checks come back.
        """
        ...


@dataclass(frozen=True, slots=True)
class ModelCheck:
    """A check that was asked for; `finished_at` is None until its results are stored."""

    id: int
    requested_at: datetime
    finished_at: datetime | None


@dataclass(frozen=True, slots=True)
class ModelListStatus:
    """A provider's list: when it was last read, and why it could not be read since."""

    provider: Provider
    read_at: datetime | None
    error: str | None


class ModelOverview(Protocol):
    """Models as ops see them."""

    async def demand(self, by: str, at: datetime) -> ModelCheck:
        """Ask workers for a check; one that is asked for and not begun serves everybody."""
        ...

    async def check(self, check_id: int) -> ModelCheck | None:
        """Return a check."""
        ...

    async def known(self) -> Sequence[ModelStatus]:
        """Return what is known of each model that was ever checked."""
        ...

    async def lists(self) -> Sequence[ModelListStatus]:
        """Return what is known of each provider's list."""
        ...
