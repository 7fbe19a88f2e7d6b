"""What use cases ask of the broker, and the outbox between it and the database."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from shared.domain.errors import SluicewayError
from shared.domain.ids import QueueName
from shared.domain.outgoing import OutboxRow, OutgoingMessage


class MessagePublisher(Protocol):
    """Publishes with confirms."""

    async def publish(self, message: OutgoingMessage) -> None:
        """Return once the broker has the message.

        Raises:
            UnroutableError: No queue is bound and the message is mandatory.
            QueueFullError: The queue is at its limit.
            BrokerUnavailableError: No confirm within the deadline; the message may have arrived.
        """
        ...

    async def publish_many(
        self, messages: Sequence[OutgoingMessage]
    ) -> Sequence[SluicewayError | None]:
        """Publish all with many in flight; per message None or the error `publish` would raise."""
        ...


class StreamPublisher(Protocol):
    """Publishes frames for whoever watches a job; nobody watching is fine."""

    async def send(self, routing_key: str, body: bytes) -> None:
        """Hand a frame to the broker without a confirm; a lost frame is read from the database."""
        ...


class Outbox(Protocol):
    """Messages that are committed and not yet known to be with the broker."""

    async def due(self, limit: int) -> Sequence[OutboxRow]:
        """Lease at most `limit` rows whose time has come, for 10 s, unseen by other relays."""
        ...

    async def sent(self, ids: Sequence[int]) -> None:
        """Delete rows that the broker confirmed."""
        ...


class CommittedMessages(Protocol):
    """Takes messages whose rows were just committed and publishes them without waiting for a tick.

    Rows that fail stay in the outbox for the relay's loop.
    """

    async def flush(self, rows: Sequence[OutboxRow]) -> None:
        """Publish the rows and delete those that were confirmed; never raises for the broker."""
        ...


@dataclass(frozen=True, slots=True)
class QueueDepth:
    """What the broker says of a queue."""

    ready: int
    consumers: int


class QueueDepths(Protocol):
    """The broker's live counts."""

    async def depths(self, queues: Sequence[QueueName]) -> Mapping[QueueName, QueueDepth]:
        """Return the counts of each queue.

        Raises:
            BrokerUnavailableError: The broker did not answer.
        """
        ...


class ControlHint(Protocol):
    """Tells workers to re-read their gates now rather than at their next tick."""

    async def send(self) -> None:
        """Send the hint; losing it is fine, because workers tick."""
        ...
