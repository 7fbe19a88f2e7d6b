"""Gates, budgets, reports and the broker's counts, in memory."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal

from shared.domain.budgets import Budget, BudgetScope
from shared.domain.errors import BrokerUnavailableError, DatabaseUnavailableError
from shared.domain.gates import WORK_QUEUES, Gate, GateState, QueueActual
from shared.domain.ids import AttemptId, QueueName
from shared.domain.ledger import LedgerEntry
from shared.ports.clock import Clock
from shared.ports.gates import GateChange, QueueOverview, WorkerActual
from shared.ports.messaging import QueueDepth
from shared.ports.money import BudgetState, Reconciliation, UsageRow


class MemoryGates:
    """Implements `GateRepository` and `GateAdministration`."""

    def __init__(self) -> None:
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

    async def report(self, worker: str, actual: Sequence[QueueActual]) -> None:
        raise NotImplementedError(f"the API reports nothing: {worker} {actual}")

    async def change(self, change: GateChange) -> Gate:
        self.changes.append(change)
        gate = replace(
            self.gates[change.queue],
            desired=change.desired,
            generation=self.gates[change.queue].generation + 1,
            reason=change.reason,
            actor=change.actor,
            until=change.until,
            concurrency=change.concurrency,
        )
        self.gates[change.queue] = gate
        return gate

    async def overview(self) -> Sequence[QueueOverview]:
        return [
            QueueOverview(
                gate, self.workers.get(gate.queue, []), self.oldest_by_queue.get(gate.queue)
            )
            for gate in self.gates.values()
        ]


class MemoryBudgets:
    """Implements `BudgetRepository`."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.budgets: dict[BudgetScope, Budget] = {}

    async def get(self, scope: BudgetScope) -> BudgetState | None:
        budget = self.budgets.get(scope)
        return None if budget is None else self._state(budget)

    async def all(self) -> Sequence[BudgetState]:
        return [self._state(budget) for budget in self.budgets.values()]

    async def put(self, budget: Budget, by: str) -> BudgetState:
        del by
        self.budgets[budget.scope] = budget
        return self._state(budget)

    async def delete(self, scope: BudgetScope, by: str) -> bool:
        del by
        return self.budgets.pop(scope, None) is not None

    def _state(self, budget: Budget) -> BudgetState:
        start = budget.window.start(self._clock.now())
        return BudgetState(budget, start, Decimal("0.25"), Decimal("0.05"))


class MemoryReports:
    """Implements `Reports`."""

    def __init__(self) -> None:
        self.rows: list[UsageRow] = []
        self.entries: list[LedgerEntry] = []
        self.asked: list[tuple[Sequence[str], date | None, date | None]] = []

    async def usage(
        self, group_by: Sequence[str], first: date | None, last: date | None
    ) -> Sequence[UsageRow]:
        self.asked.append((group_by, first, last))
        return self.rows

    async def ledger_page(self, after: AttemptId | None, limit: int) -> Sequence[LedgerEntry]:
        return [one for one in self.entries if after is None or one.id > after][:limit]

    async def reconciliation(self) -> Reconciliation:
        return Reconciliation(0, 0, 0, 0, 0, 0, Decimal(0), Decimal("0.000"))


class FixedDepths:
    """Implements `QueueDepths`."""

    def __init__(self) -> None:
        self.is_away = False

    async def depths(self, queues: Sequence[QueueName]) -> Mapping[QueueName, QueueDepth]:
        if self.is_away:
            raise BrokerUnavailableError("no broker")
        return {queue: QueueDepth(ready=7, consumers=2) for queue in queues}


class CountingHint:
    """Implements `ControlHint`."""

    def __init__(self) -> None:
        self.sent = 0

    async def send(self) -> None:
        self.sent += 1
