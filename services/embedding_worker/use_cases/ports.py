"""What embedding asks of the process it runs in."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from shared.domain.catalog import Provider
from shared.domain.ids import QueueName
from shared.ports.admission import Admission
from shared.ports.clock import Clock, Ids
from shared.ports.embeddings import EmbeddingRepository
from shared.ports.messaging import CommittedMessages, MessagePublisher, StreamPublisher
from shared.ports.providers import EmbeddingModel
from shared.ports.work import AttemptRepository


class WorkGate(Protocol):
    """The gates as this process last saw them."""

    def lets_work_start(self, queue: QueueName) -> bool:
        """Tell, from memory, whether a provider call may start."""
        ...


@dataclass(frozen=True, slots=True)
class Ports:
    """Everything that embedding acts through.

    Attributes:
        models: Who can be asked, by provider.
        committed: Publishes what a commit put into the outbox.
        publisher: Sends a job that never started back to its queue.
        frames: Sends the last frame to whoever watches.
    """

    attempts: AttemptRepository
    embeddings: EmbeddingRepository
    models: Mapping[Provider, EmbeddingModel]
    committed: CommittedMessages
    publisher: MessagePublisher
    frames: StreamPublisher
    gate: WorkGate
    admission: Admission
    clock: Clock
    ids: Ids


@dataclass(frozen=True, slots=True)
class Identity:
    """The worker that leases belong to, unique per process start, and how long one lasts."""

    worker: str
    lease: timedelta
