"""Alerts: fired thresholds on their way to people, each through every channel."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Protocol

from shared.domain.alerts import Alert, AlertDelivery


@dataclass(frozen=True, slots=True)
class StoredAlert:
    """An alert with what became of it."""

    alert: Alert
    scope: str
    window: str
    window_start: datetime
    threshold: str
    spent_usd: Decimal
    fired_at: datetime
    deliveries: Sequence[AlertDelivery]


class AlertLog(Protocol):
    """Alerts as ops see them."""

    async def page(self, after: int, limit: int) -> Sequence[StoredAlert]:
        """Return at most `limit` alerts with ids greater than `after`, oldest first."""
        ...

    async def fire_test(self, name: str, message: str) -> int:
        """Fire an alert that goes through every channel once; `name` is unique. Returns its id."""
        ...

    async def get(self, alert_id: int) -> StoredAlert | None:
        """Return an alert."""
        ...


@dataclass(frozen=True, slots=True)
class DueDelivery:
    """One alert for one channel, leased to this process; `attempts` counts this one."""

    alert: Alert
    channel: str
    attempts: int


class AlertDeliveries(Protocol):
    """Alerts that have not arrived yet; any number of replicas may take them."""

    async def route(self, channels: Sequence[str]) -> None:
        """Give each new alert a delivery per channel."""
        ...

    async def due(self, channels: Sequence[str], limit: int) -> Sequence[DueDelivery]:
        """Lease deliveries whose time has come, for a minute, unseen by other replicas."""
        ...

    async def delivered(self, delivery: DueDelivery) -> None:
        """Close a delivery that its channel took."""
        ...

    async def refused(self, delivery: DueDelivery, error: str, retry_in: timedelta | None) -> None:
        """Store why a delivery failed, and when to try again; None gives it up."""
        ...


class AlertChannel(Protocol):
    """A way to reach people."""

    @property
    def name(self) -> str:
        """Return what logs and answers call it; it tells no secret."""
        ...

    async def send(self, alert: Alert) -> None:
        """Return once the channel has taken the alert.

        Raises:
            AlertNotDeliveredError: It has not; the message tells no secret.
        """
        ...
