"""Gates of queues and of scopes, and the audit trail, in memory."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from shared.domain.errors import DatabaseUnavailableError
from shared.domain.gates import (
    WORK_QUEUES,
    Gate,
    GateActor,
    GateState,
    QueueActual,
    ScopeGate,
)
from shared.domain.ids import QueueName
from shared.ports.clock import Clock
from shared.ports.gates import (
    AuditEntry,
    GateChange,
    QueueOverview,
    ScopeChange,
    WorkerActual,
)
from tests.support.fakes_of_time import StillClock


class MemoryGates:
    """Implements `GateRepository` and `GateAdministration`; a given trail gets each move."""

    def __init__(self, audit: "ListedAudit | None" = None, clock: Clock | None = None) -> None:
        self._audit = audit
        self._clock = clock or StillClock()
        self.gates = {queue: Gate(queue, GateState.RUNNING, 1) for queue in WORK_QUEUES}
        self.workers: dict[QueueName, list[WorkerActual]] = {}
        self.oldest_by_queue: dict[QueueName, datetime] = {}
        self.changes: list[GateChange] = []
        self.reads = 0
        self.is_away = False

    async def desired(self, queues: Sequence[QueueName]) -> Mapping[QueueName, Gate]:
        self.reads += 1
        if self.is_away:
            raise DatabaseUnavailableError("the database did not answer")
        return {queue: self.gates[queue] for queue in queues}

    async def calls_under_way(self, queue: QueueName) -> int:
        raise NotImplementedError(f"the API does not ask what runs in {queue}")

    async def report(self, worker: str, actual: Sequence[QueueActual]) -> None:
        raise NotImplementedError(f"the API reports nothing: {worker} {actual}")

    async def change(self, change: GateChange) -> Gate:
        self.changes.append(change)
        before = self.gates[change.queue]
        if not _moves(before, change):
            return before
        gate = replace(
            before,
            desired=change.desired,
            generation=before.generation + 1,
            reason=change.reason,
            actor=change.actor,
            until=change.until,
            concurrency=change.concurrency,
        )
        self.gates[change.queue] = gate
        if self._audit is not None:
            self._audit.entries.append(self._entry(before, change))
        return gate

    async def overview(self) -> Sequence[QueueOverview]:
        return [
            QueueOverview(
                gate, self.workers.get(gate.queue, []), self.oldest_by_queue.get(gate.queue)
            )
            for gate in self.gates.values()
        ]

    def _entry(self, before: Gate, change: GateChange) -> AuditEntry:
        return AuditEntry(
            id=len(self.changes),
            kind="gate",
            scope="global",
            queue=change.queue,
            window=None,
            from_state=before.desired,
            to_state=change.desired,
            actor=change.actor,
            by=change.by,
            reason=change.reason,
            changed_at=self._clock.now(),
        )


class MemoryScopeGates:
    """Implements `ScopeGateRepository`."""

    def __init__(self) -> None:
        self.gates: dict[tuple[str, QueueName], ScopeGate] = {}
        self.changes: list[ScopeChange] = []

    async def closed(self) -> Sequence[ScopeGate]:
        return [one for one in self.gates.values() if one.desired is GateState.CLOSED]

    async def all(self) -> Sequence[ScopeGate]:
        shut = (one for one in self.gates.values() if one.desired is not GateState.RUNNING)
        return sorted(shut, key=lambda one: (one.scope, one.queue))

    async def change(self, change: ScopeChange) -> Sequence[ScopeGate]:
        self.changes.append(change)
        for queue in change.queues:
            place = (str(change.scope), queue)
            before = self.gates.get(place)
            if not _moves(before, change):
                continue
            self.gates[place] = ScopeGate(
                scope=str(change.scope),
                queue=queue,
                desired=change.desired,
                generation=1 if before is None else before.generation + 1,
                reason=change.reason,
                actor=change.actor,
                until=change.until,
                concurrency=change.concurrency,
            )
        places = [(str(change.scope), queue) for queue in change.queues]
        return [self.gates[place] for place in places if place in self.gates]


def _moves(before: Gate | ScopeGate | None, change: GateChange | ScopeChange) -> bool:
    """Tell whether a wish moves a gate: a person's shut one is no budget's, an open one stays."""
    if before is None:
        return change.desired is not GateState.RUNNING
    is_open = before.desired is GateState.RUNNING
    if change.actor is not GateActor.PERSON and (
        (before.actor is GateActor.PERSON and not is_open)
        or (is_open and change.desired is GateState.RUNNING)
    ):
        return False
    return (before.desired, before.actor, before.until, before.concurrency) != (
        change.desired,
        change.actor,
        change.until,
        change.concurrency,
    )


class ListedAudit:
    """Implements `AuditTrail`."""

    def __init__(self) -> None:
        self.entries: list[AuditEntry] = []

    async def page(self, after: int, limit: int) -> Sequence[AuditEntry]:
        return [one for one in self.entries if one.id > after][:limit]
