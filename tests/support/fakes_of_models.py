"""Checks of models and providers' lists, in memory."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from shared.domain.catalog import Provider
from shared.domain.errors import ProviderPermanentError, ProviderTransientError
from shared.domain.model_alerts import ModelAlert
from shared.domain.model_states import (
    ListedModel,
    ListRead,
    ModelKey,
    ModelState,
    ModelStatus,
)
from shared.ports.models import ModelCheck, ModelFindings, ModelListStatus

_LEASE = timedelta(minutes=5)


@dataclass
class _Row:
    """A check as the table has it."""

    check: ModelCheck
    is_nightly: bool
    claimed_until: datetime | None = None


class MemoryModels:
    """Implements `ModelChecks` and `ModelOverview`."""

    def __init__(self) -> None:
        self.rows: list[_Row] = []
        self.statuses: dict[ModelKey, ModelStatus] = {}
        self.since: dict[ModelKey, tuple[ModelState, datetime]] = {}
        self.read: dict[Provider, ModelListStatus] = {}
        self.fired: dict[tuple[ModelKey, str, datetime], ModelAlert] = {}

    async def claim(self, worker: str, at: datetime, *, is_night: bool) -> Sequence[int]:
        del worker
        taken = [row for row in self.rows if _is_open(row, at)]
        if self._night_is_due(at, is_night=is_night):
            taken.append(self._add(at, is_nightly=True))
        elif self._is_to_be_tried_again(at):
            self._add(at, is_nightly=False)
        for row in taken:
            row.claimed_until = at + _LEASE
        return [row.check.id for row in taken]

    async def finish(self, checks: Sequence[int], found: ModelFindings) -> None:
        for status in found.statuses:
            self.statuses[status.key] = status
            before = self.since.get(status.key)
            if before is None or before[0] is not status.state:
                self.since[status.key] = (status.state, found.at)
        for provider, outcome in found.outcomes:
            before_read = self.read.get(provider)
            read_at = None if before_read is None else before_read.read_at
            self.read[provider] = (
                ModelListStatus(provider, found.at, None)
                if isinstance(outcome, ListRead)
                else ModelListStatus(provider, read_at, outcome.error)
            )
        for alert in found.alerts:
            key = alert.status.key
            occasion = alert.occasion or self.since[key][1]
            self.fired.setdefault((key, alert.step, occasion), alert)
        for row in self.rows:
            if row.check.id in checks:
                row.check = replace(row.check, finished_at=found.at)

    async def demand(self, by: str, at: datetime) -> ModelCheck:
        del by
        waiting = (row for row in self.rows if row.claimed_until is None)
        row = next(waiting, None) or self._add(at, is_nightly=False)
        return row.check

    async def check(self, check_id: int) -> ModelCheck | None:
        return next((row.check for row in self.rows if row.check.id == check_id), None)

    async def known(self) -> Sequence[ModelStatus]:
        return [self.statuses[key] for key in sorted(self.statuses)]

    async def lists(self) -> Sequence[ModelListStatus]:
        return [self.read[provider] for provider in sorted(self.read)]

    def _add(self, at: datetime, *, is_nightly: bool) -> _Row:
        row = _Row(ModelCheck(len(self.rows) + 1, at, None), is_nightly)
        self.rows.append(row)
        return row

    def _night_is_due(self, at: datetime, *, is_night: bool) -> bool:
        today = at.astimezone(UTC).date()
        if any(row.is_nightly and row.check.requested_at.date() == today for row in self.rows):
            return False
        finished = [row.check.finished_at for row in self.rows]
        return is_night or not any(one and one > at - timedelta(days=1) for one in finished)

    def _is_to_be_tried_again(self, at: datetime) -> bool:
        tried = any(row.check.requested_at > at - timedelta(minutes=15) for row in self.rows)
        return not tried and any(one.error is not None for one in self.read.values())


@dataclass
class ScriptedCatalogue:
    """Implements `ModelCatalogue`; fails while it has an error."""

    models: Sequence[ListedModel] = ()
    error: ProviderTransientError | ProviderPermanentError | None = None
    reads: list[int] = field(default_factory=list[int])

    async def list_models(self) -> Sequence[ListedModel]:
        self.reads.append(len(self.models))
        if self.error is not None:
            raise self.error
        return self.models


def _is_open(row: _Row, at: datetime) -> bool:
    is_claimed = row.claimed_until is not None and row.claimed_until > at
    return row.check.finished_at is None and not is_claimed
