"""Alerts and what became of them, as ops see them."""

from collections.abc import Sequence
from datetime import datetime

from pydantic import BaseModel

from shared.domain.alerts import AlertDelivery
from shared.messages.frames import Usd
from shared.ports.alerts import StoredAlert


class DeliveryView(BaseModel):
    """An alert's way through one channel.

    Attributes:
        channel: Its kind and a fingerprint of its address, which is secret.
        state: `pending`, `delivered` or `given_up`.
    """

    channel: str
    state: str
    attempts: int
    next_attempt_at: datetime | None
    last_error: str | None
    delivered_at: datetime | None


class AlertView(BaseModel):
    """A fired threshold, a model that ends, or a test."""

    id: int
    kind: str
    scope: str
    window: str
    window_start: datetime
    threshold: str
    action: str
    message: str
    spent_usd: Usd
    fired_at: datetime
    deliveries: list[DeliveryView]


class AlertPage(BaseModel):
    """Alerts, oldest first; `next` is the `after` of the next page."""

    data: list[AlertView]
    has_more: bool
    next: int | None


def alert_view(stored: StoredAlert) -> AlertView:
    """Return an alert's body."""
    alert = stored.alert
    return AlertView(
        id=alert.id,
        kind=alert.kind,
        scope=stored.scope,
        window=stored.window,
        window_start=stored.window_start,
        threshold=stored.threshold,
        action=alert.action,
        message=alert.message,
        spent_usd=stored.spent_usd,
        fired_at=stored.fired_at,
        deliveries=[_delivery_view(one) for one in stored.deliveries],
    )


def alert_page(alerts: Sequence[StoredAlert], limit: int) -> AlertPage:
    """Return a page of at most `limit` alerts; one more tells that there is a next page."""
    shown = [alert_view(one) for one in alerts[:limit]]
    has_more = len(alerts) > limit
    return AlertPage(data=shown, has_more=has_more, next=shown[-1].id if has_more else None)


def _delivery_view(delivery: AlertDelivery) -> DeliveryView:
    return DeliveryView(
        channel=delivery.channel,
        state=delivery.state,
        attempts=delivery.attempts,
        next_attempt_at=delivery.next_attempt_at if delivery.state == "pending" else None,
        last_error=delivery.last_error,
        delivered_at=delivery.delivered_at,
    )
