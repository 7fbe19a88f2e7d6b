"""Looks whether the routed models still live, every night and when somebody asks."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog

from services.inference_worker.policies.nights import is_night
from shared.domain.catalog import Provider
from shared.domain.errors import ProviderPermanentError, ProviderTransientError
from shared.domain.model_alerts import ModelAlert, alert_about
from shared.domain.model_states import (
    ListOutcome,
    ListRead,
    ListUnread,
    ModelStatus,
    check_models,
    successor_of,
)
from shared.domain.pricing import PriceBook
from shared.domain.routing import RoutingTable, providers_of
from shared.ports.clock import Clock
from shared.ports.models import ModelCatalogue, ModelChecks, ModelFindings

_log = structlog.stdlib.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ModelPorts:
    """What a check needs.

    Attributes:
        checks: Says who checks when, and keeps what was found.
        catalogues: Providers' lists.
        show_days_left: Told each model's days, infinity for one whose end nobody has announced.
        show_stale: Told of each provider whether its list could not be read.
    """

    checks: ModelChecks
    catalogues: Mapping[Provider, ModelCatalogue]
    clock: Clock
    show_days_left: Callable[[ModelStatus, float], None]
    show_stale: Callable[[Provider, bool], None]


class CheckModels:
    """Safe to run anywhere and again: a check is one worker's, and its alerts are told once."""

    def __init__(
        self, ports: ModelPorts, table: RoutingTable, prices: PriceBook, worker: str
    ) -> None:
        self._ports = ports
        self._table = table
        self._prices = prices
        self._worker = worker

    async def __call__(self) -> None:
        """Make the check that is due, if any is.

        Raises:
            DatabaseUnavailableError: Another round, here or elsewhere, makes it.
        """
        at = self._ports.clock.now()
        checks = await self._ports.checks.claim(
            self._worker, at, is_night=is_night(self._worker, at)
        )
        if checks:
            await self._check(checks, at)

    async def _check(self, checks: Sequence[int], at: datetime) -> None:
        providers = sorted(providers_of(self._table))
        outcomes = await asyncio.gather(*(self._outcome(provider) for provider in providers))
        by_provider = dict(zip(providers, outcomes, strict=True))
        known = await self._ports.checks.known()
        statuses = check_models(self._table, self._prices, by_provider, known, at)
        alerts = [alert for one in statuses if (alert := self._alert(one, at)) is not None]
        found = ModelFindings(at, statuses, [*by_provider.items()], alerts)
        await self._ports.checks.finish(checks, found)
        self._show(found)

    async def _outcome(self, provider: Provider) -> ListOutcome:
        catalogue = self._ports.catalogues.get(provider)
        if catalogue is None:
            return ListUnread(f"{provider} has no list of models")
        try:
            return ListRead(await catalogue.list_models())
        except (ProviderTransientError, ProviderPermanentError) as error:
            return ListUnread(str(error))

    def _alert(self, status: ModelStatus, at: datetime) -> ModelAlert | None:
        successor = successor_of(self._table, status.key)
        return alert_about(status, successor, at.astimezone(UTC).date())

    def _show(self, found: ModelFindings) -> None:
        today = found.at.astimezone(UTC).date()
        for status in found.statuses:
            days = status.days_left(today)
            self._ports.show_days_left(status, float("inf") if days is None else days)
        for provider, outcome in found.outcomes:
            self._ports.show_stale(provider, isinstance(outcome, ListUnread))
            if isinstance(outcome, ListUnread):
                _log.warning("models.list_stale", provider=provider, error=outcome.error)
        for alert in found.alerts:
            _log.warning(
                "models.needs_attention",
                provider=alert.status.provider,
                model=alert.status.model,
                state=alert.status.state,
                retires_on=str(alert.status.retires_on),
                step=alert.step,
            )
        _log.info("models.checked", models=len(found.statuses), alerts=len(found.alerts))
