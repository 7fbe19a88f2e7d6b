"""What the gates mean for clients: a closed one refuses, any shut one explains why jobs wait.

Invariant: gates are read at most once per `age`; when the database is away the last reading counts.
"""

import asyncio
from collections.abc import Mapping
from datetime import datetime, timedelta

from services.api.use_cases.refusals import RefusalCode, RefusedError
from shared.domain.access import Caller
from shared.domain.errors import DatabaseUnavailableError
from shared.domain.gates import WORK_QUEUES, Gate, GateActor, GateState, ScopeGate
from shared.domain.ids import QueueName
from shared.domain.jobs import JobStatus, Waiting, WaitingReason
from shared.domain.views import JobView
from shared.ports.clock import Clock
from shared.ports.gates import GateRepository, ScopeGateRepository

_RETRY_WHEN_UNKNOWN = timedelta(seconds=30)
_LONGEST_RETRY = timedelta(hours=1)


class Gates:
    """The gates as last read."""

    def __init__(
        self,
        repository: GateRepository,
        clock: Clock,
        age: timedelta,
        scopes: ScopeGateRepository,
    ) -> None:
        self._repository = repository
        self._clock = clock
        self._scopes = scopes
        self._age_seconds = age.total_seconds()
        self._read_at = float("-inf")
        self._gates: Mapping[QueueName, Gate] = {}
        self._closed: Mapping[tuple[str, QueueName], ScopeGate] = {}
        self._reading = asyncio.Lock()

    async def admit(self, queue: QueueName, caller: Caller) -> None:
        """Return if the queue takes new jobs of this caller.

        Raises:
            RefusedError: A person or a budget has closed it, to all or to this caller.
            DatabaseUnavailableError: The gates have never been read.
        """
        gate = (await self._current()).get(queue)
        if gate is not None and gate.desired is GateState.CLOSED:
            raise RefusedError(
                RefusalCode.QUEUE_CLOSED,
                f"queue {queue} is closed: {gate.reason or 'no reason given'}",
                retry_after=self._retry_after(gate.until),
            )
        if self._closed:
            self._admit_caller(queue, caller)

    def _admit_caller(self, queue: QueueName, caller: Caller) -> None:
        for scope in (f"tier:{caller.tier}", f"user:{caller.user_id}", f"key:{caller.key_id}"):
            gate = self._closed.get((scope, queue))
            if gate is None:
                continue
            is_money = gate.actor is GateActor.BUDGET
            raise RefusedError(
                RefusalCode.BUDGET_EXCEEDED if is_money else RefusalCode.QUEUE_CLOSED,
                f"queue {queue} is closed to {scope}: {gate.reason or 'no reason given'}",
                retry_after=self._retry_after(gate.until),
            )

    def _retry_after(self, until: datetime | None) -> timedelta:
        if until is None:
            return _RETRY_WHEN_UNKNOWN
        return min(max(until - self._clock.now(), timedelta(seconds=1)), _LONGEST_RETRY)

    async def waiting(self, view: JobView) -> Waiting | None:
        """Return why a queued job is not being worked on; None when nothing holds it up."""
        if view.status is not JobStatus.QUEUED:
            return None
        if view.waiting is not None:
            return view.waiting
        return waiting_at((await self._current()).get(view.queue))

    async def _current(self) -> Mapping[QueueName, Gate]:
        async with self._reading:
            now = self._clock.monotonic()
            if now - self._read_at >= self._age_seconds:
                try:
                    self._gates = await self._repository.desired(WORK_QUEUES)
                    closed = await self._scopes.closed()
                    self._closed = {(one.scope, one.queue): one for one in closed}
                except DatabaseUnavailableError:
                    if not self._gates:
                        raise
                self._read_at = now
            return self._gates


def waiting_at(gate: Gate | None) -> Waiting | None:
    """Return why jobs wait behind this gate; None when it lets work start."""
    if gate is None or gate.lets_work_start:
        return None
    reason = WaitingReason.BUDGET if gate.actor is GateActor.BUDGET else WaitingReason.QUEUE_PAUSED
    return Waiting(reason, gate.until, gate.reason or f"queue {gate.queue} is {gate.desired}")
