"""Alerts, budgets, reports and the broker's counts, in memory."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal

from shared.domain.adjustments import LedgerSum, adjustments
from shared.domain.alerts import Alert, AlertDelivery, AlertKind
from shared.domain.budgets import Budget, BudgetScope, Window
from shared.domain.catalog import Operation, Provider, Tier
from shared.domain.errors import BrokerUnavailableError
from shared.domain.ids import AttemptId, QueueName
from shared.domain.ledger import LedgerEntry
from shared.ports.alerts import StoredAlert
from shared.ports.clock import Clock
from shared.ports.invoices import Confirmed, Invoice, LedgerMoved
from shared.ports.messaging import QueueDepth
from shared.ports.money import Booked, BudgetState
from shared.ports.reports import (
    EVERYTHING,
    LedgerFilter,
    Occasion,
    Reconciliation,
    ReconciliationRun,
    UsageRow,
)


class ScriptedAlerts:
    """Implements `AlertLog`; a test alert is delivered as scripted, or never."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.stored: list[StoredAlert] = []
        self.outcome: Sequence[AlertDelivery] = ()

    async def page(self, after: int, limit: int) -> Sequence[StoredAlert]:
        return [one for one in self.stored if one.alert.id > after][:limit]

    async def fire_test(self, name: str, message: str) -> int:
        alert = Alert(len(self.stored) + 1, AlertKind.TEST, "alert", message)
        now = self._clock.now()
        stored = StoredAlert(alert, "global", "day", now, name, Decimal(0), now, self.outcome)
        self.stored.append(stored)
        return alert.id

    async def get(self, alert_id: int) -> StoredAlert | None:
        return next((one for one in self.stored if one.alert.id == alert_id), None)


class MemoryBudgets:
    """Implements `BudgetRepository`."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.budgets: dict[tuple[BudgetScope, Window], Budget] = {}
        self.reasons: list[str] = []

    async def get(self, scope: BudgetScope) -> BudgetState | None:
        return next(iter(await self.of_scope(scope)), None)

    async def of_scope(self, scope: BudgetScope) -> Sequence[BudgetState]:
        found = [one for one in self.budgets.values() if one.scope == scope]
        return [self._state(budget) for budget in reversed(found)]

    async def all(self) -> Sequence[BudgetState]:
        ordered = sorted(self.budgets.values(), key=lambda one: (str(one.scope), one.window))
        return [self._state(budget) for budget in ordered]

    async def put(self, budget: Budget, by: str, reason: str = "") -> BudgetState:
        del by
        self.reasons.append(reason)
        self.budgets.pop((budget.scope, budget.window), None)
        self.budgets[budget.scope, budget.window] = budget
        return self._state(budget)

    async def delete(
        self, scope: BudgetScope, by: str, window: Window | None = None, reason: str = ""
    ) -> bool:
        del by
        self.reasons.append(reason)
        gone = [place for place in self.budgets if place[0] == scope and window in {None, place[1]}]
        for place in gone:
            del self.budgets[place]
        return bool(gone)

    def _state(self, budget: Budget) -> BudgetState:
        start = budget.window.start(self._clock.now())
        return BudgetState(budget, start, Decimal("0.25"), Decimal("0.05"))


class MemoryReports:
    """Implements `Reports`."""

    def __init__(self) -> None:
        self.rows: list[UsageRow] = []
        self.entries: list[LedgerEntry] = []
        self.routes: Sequence[tuple[Tier, Operation]] = ()
        self.wanted: list[LedgerFilter] = []
        self.asked: list[tuple[Sequence[str], date | None, date | None]] = []

    async def usage(
        self, group_by: Sequence[str], first: date | None, last: date | None
    ) -> Sequence[UsageRow]:
        self.asked.append((group_by, first, last))
        return self.rows

    async def usage_by_arm(
        self, routes: Sequence[tuple[Tier, Operation]], first: date, last: date
    ) -> Sequence[UsageRow]:
        self.routes = routes
        return await self.usage(["day", "arm"], first, last)

    async def usage_rows(
        self, group_by: Sequence[str], first: date | None, last: date | None
    ) -> AsyncIterator[UsageRow]:
        for row in await self.usage(group_by, first, last):
            yield row

    async def ledger_page(
        self, after: AttemptId | None, limit: int, wanted: LedgerFilter = EVERYTHING
    ) -> Sequence[LedgerEntry]:
        self.wanted.append(wanted)
        return [one for one in self.entries if after is None or one.id > after][:limit]


class MemoryReconciliation:
    """Implements `ReconciliationRepository`."""

    def __init__(self) -> None:
        self.found = Reconciliation(drift_usd=Decimal("0.000"))
        self.runs: list[ReconciliationRun] = []
        self.full: list[bool] = []

    async def compare(self, *, full: bool = False) -> Reconciliation:
        self.full.append(full)
        return self.found

    async def keep(self, occasion: Occasion, found: Reconciliation, at: datetime) -> None:
        if occasion == "on_demand" or all(one.ran_at.date() != at.date() for one in self.runs):
            self.runs.append(ReconciliationRun(len(self.runs), occasion, at, found))

    async def last_run(self, occasion: Occasion | None = None) -> ReconciliationRun | None:
        runs = [one for one in self.runs if occasion in {None, one.occasion}]
        return runs[-1] if runs else None


class MemoryInvoices:
    """Implements `InvoiceRepository`; a confirmation books what was proposed."""

    def __init__(self) -> None:
        self.sums: dict[tuple[date, str], LedgerSum] = {}
        self.invoices: dict[str, Invoice] = {}
        self.booked = Booked(1, (), gates_moved=False)
        self.has_moved = False

    async def ledger_sums(
        self, provider: Provider, first: date, last: date, *, at_list_price: bool
    ) -> Mapping[tuple[date, str], LedgerSum]:
        del provider, at_list_price
        return {key: one for key, one in self.sums.items() if first <= key[0] <= last}

    async def add(self, invoice: Invoice) -> None:
        self.invoices[invoice.id] = invoice

    async def get(self, invoice_id: str) -> Invoice | None:
        return self.invoices.get(invoice_id)

    async def recent(self, limit: int) -> Sequence[Invoice]:
        return [*reversed(self.invoices.values())][:limit]

    async def adjustments(self, invoice: Invoice) -> Sequence[LedgerEntry]:
        return adjustments(invoice.id, invoice.provider, invoice.days, self.sums, ())

    async def confirm(self, invoice_id: str, by: str) -> Confirmed | LedgerMoved | None:
        invoice = self.invoices.get(invoice_id)
        if invoice is None:
            return None
        if self.has_moved:
            return LedgerMoved()
        confirmed = replace(invoice, confirmed_by=by, confirmed_at=invoice.imported_at)
        self.invoices[invoice_id] = confirmed
        return Confirmed(confirmed, self.booked)


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
