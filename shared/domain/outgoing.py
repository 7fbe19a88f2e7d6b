"""Messages between the commit that decides them and the broker that carries them."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class OutgoingMessage:
    """A message on its way to the broker.

    Attributes:
        message_id: Identical on every retry; receivers drop repeats by it.
        exchange: Where to.
        routing_key: Which queue behind the exchange.
        body: JSON.
        mandatory: Whether a message that no queue takes is an error.
        persistent: Whether it survives a restart of the broker.
    """

    message_id: str
    exchange: str
    routing_key: str
    body: bytes
    mandatory: bool = True
    persistent: bool = True


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """A committed message that the broker is not yet known to have."""

    id: int
    message: OutgoingMessage


@dataclass(frozen=True, slots=True)
class DelayedMessage:
    """A message for the outbox, to be published no sooner than `available_at` (None: at once)."""

    message: OutgoingMessage
    available_at: datetime | None = None
