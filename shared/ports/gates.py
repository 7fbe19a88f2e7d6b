"""Gates: the desired state of queues, and what workers make of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from shared.domain.budgets import BudgetScope
from shared.domain.gates import Gate, GateActor, GateState, QueueActual, ScopeGate
from shared.domain.ids import QueueName


class GateRepository(Protocol):
    """What a worker needs of the gates."""

    async def desired(self, queues: Sequence[QueueName]) -> Mapping[QueueName, Gate]:
        """Return the gate of each queue.

        Raises:
            DatabaseUnavailableError: The state is unknown: keep the last one, or stay shut.
        """
        ...

    async def calls_under_way(self, queue: QueueName) -> int:
        """Return how many calls for jobs of a queue run now, over all workers.

        Raises:
            DatabaseUnavailableError: Nobody knows.
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
    """A wish to move a queue's gate; `by` names the person or budget for the audit trail."""

    queue: QueueName
    desired: GateState
    reason: str
    actor: GateActor
    by: str
    until: datetime | None = None
    concurrency: int | None = None


@dataclass(frozen=True, slots=True)
class ScopeChange:
    """A wish to move the gates of one scope's work in some queues."""

    scope: BudgetScope
    queues: Sequence[QueueName]
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


class ScopeGateRepository(Protocol):
    """Gates of one tenant's, tier's, key's or provider's work, which others pass by."""

    async def closed(self) -> Sequence[ScopeGate]:
        """Return the gates that take no new jobs; few, and found by an index of their own."""
        ...

    async def all(self) -> Sequence[ScopeGate]:
        """Return every gate that holds something up or diverts it."""
        ...

    async def change(self, change: ScopeChange) -> Sequence[ScopeGate]:
        """Move a scope's gates, each with an audit entry; returns those queues' gates.

        A person's gate beats a budget's, as with queues. Opened gates let parked jobs go on.
        """
        ...


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """Who changed what, when, why, and from what.

    Attributes:
        kind: `gate`, `budget` or `rollout`.
        scope: Whose gate or budget it is, or the rollout's name.
        queue: The gate's, else None.
        window: The budget's, else None.
        from_state: A gate's state, a budget as JSON or a percentage; None where there was none.
    """

    id: int
    kind: str
    scope: str
    queue: str | None
    window: str | None
    from_state: str | None
    to_state: str | None
    actor: str
    by: str
    reason: str
    changed_at: datetime


class AuditTrail(Protocol):
    """Every change of a gate, a budget or a rollout."""

    async def page(self, after: int, limit: int) -> Sequence[AuditEntry]:
        """Return at most `limit` entries with ids greater than `after`, oldest first."""
        ...
