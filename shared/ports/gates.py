"""Gates: the desired state of queues, and what workers make of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from shared.domain.gates import Gate, GateActor, GateState, QueueActual
from shared.domain.ids import QueueName


class GateRepository(Protocol):
    """What a worker needs of the gates."""

    async def desired(self, queues: Sequence[QueueName]) -> Mapping[QueueName, Gate]:
        """Return the gate of each queue.

        Raises:
            DatabaseUnavailableError: The state is unknown: keep the last one, or stay shut.
        """
        ...

    async def report(self, worker: str, actual: Sequence[QueueActual]) -> None:
        """Store what a worker does with its queues, with the time.

        Raises:
            DatabaseUnavailableError: Nothing was stored.
        """
        ...


@dataclass(frozen=True, slots=True)
class GateChange:
    """A wish to move a gate; `by` names the person or budget for the audit trail."""

    queue: QueueName
    desired: GateState
    reason: str
    actor: GateActor
    by: str
    until: datetime | None = None
    concurrency: int | None = None


@dataclass(frozen=True, slots=True)
class WorkerActual:
    """One worker's last report about a queue."""

    worker: str
    actual: QueueActual
    seen_at: datetime


@dataclass(frozen=True, slots=True)
class QueueOverview:
    """A queue as ops see it; workers that were silent for 15 s are left out."""

    gate: Gate
    workers: Sequence[WorkerActual]
    oldest_queued_at: datetime | None


class GateAdministration(Protocol):
    """What ops and budgets need of the gates."""

    async def change(self, change: GateChange) -> Gate:
        """Move a gate, one generation on, with an audit entry; a person's gate beats a budget's.

        A budget's change of a gate that a person shut changes nothing; the gate is returned as is.
        """
        ...

    async def overview(self) -> Sequence[QueueOverview]:
        """Return every work queue, at a cost that does not depend on the backlog."""
        ...
