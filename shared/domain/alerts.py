"""What people are told once: of crossed thresholds and ending models; how often it is tried."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum


class AlertKind(StrEnum):
    """Why an alert was fired."""

    THRESHOLD = "threshold"
    MODEL = "model"
    """A routed model ends, or is gone."""
    TEST = "test"
    """Somebody asks whether the channels work; it is tried once."""


@dataclass(frozen=True, slots=True)
class Alert:
    """A sentence for people; `action` is the threshold's, or the state of a model."""

    id: int
    kind: AlertKind
    action: str
    message: str


class DeliveryState(StrEnum):
    """How far an alert has come on one channel."""

    PENDING = "pending"
    DELIVERED = "delivered"
    GIVEN_UP = "given_up"


@dataclass(frozen=True, slots=True)
class AlertDelivery:
    """An alert's way through one channel."""

    channel: str
    state: DeliveryState
    attempts: int
    next_attempt_at: datetime
    last_error: str | None
    delivered_at: datetime | None


_DELAYS = (
    timedelta(seconds=5),
    timedelta(seconds=30),
    timedelta(minutes=2),
    timedelta(minutes=10),
    timedelta(minutes=30),
    timedelta(hours=1),
)
_MOST_ATTEMPTS = 30


def retry_delay(kind: AlertKind, attempts: int) -> timedelta | None:
    """Return how long to wait after a failed attempt; None when it was the last.

    Args:
        kind: A test is not repeated.
        attempts: How many were made, from 1; thirty span a day.
    """
    if kind is AlertKind.TEST or attempts >= _MOST_ATTEMPTS:
        return None
    return _DELAYS[min(max(attempts, 1), len(_DELAYS)) - 1]
