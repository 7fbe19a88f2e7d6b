"""What the API may expect of gates, budgets, alerts and the audit trail: fakes and real ones."""

from collections.abc import AsyncGenerator
from datetime import timedelta
from decimal import Decimal
from typing import Protocol

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.domain.alerts import AlertKind
from shared.domain.budgets import Budget, BudgetScope, Threshold, ThresholdAction, Window
from shared.domain.gates import CHAT_FREE, CHAT_PAID, WORK_QUEUES, GateActor, GateState
from shared.persistence.engine import create_engine
from shared.persistence.repositories.alerts import PostgresAlerts
from shared.persistence.repositories.audit import PostgresAuditTrail
from shared.persistence.repositories.budgets import PostgresBudgets
from shared.persistence.repositories.gates import PostgresGates
from shared.persistence.repositories.scope_gates import PostgresScopeGates
from shared.ports.alerts import AlertLog
from shared.ports.gates import (
    AuditTrail,
    GateAdministration,
    GateChange,
    GateRepository,
    ScopeChange,
    ScopeGateRepository,
)
from shared.ports.money import BudgetRepository
from tests.support.fakes_of_gates import ListedAudit, MemoryGates, MemoryScopeGates
from tests.support.fakes_of_operations import MemoryBudgets, ScriptedAlerts
from tests.support.fakes_of_time import StillClock

ANN = BudgetScope.parse("user:ann")
BOB = BudgetScope.parse("user:bob")
PERSON, BUDGET = GateActor.PERSON, GateActor.BUDGET


class Gates(GateRepository, GateAdministration, Protocol):
    """Both sides of the gates."""


class Bench:
    """The repositories of operations, all of one kind."""

    def __init__(self, engine: AsyncEngine | None) -> None:
        self.clock = StillClock()
        self.gates: Gates
        self.scopes: ScopeGateRepository
        self.budgets: BudgetRepository
        self.alerts: AlertLog
        self.audit: AuditTrail
        if engine is None:
            listed = ListedAudit()
            self.gates, self.audit = MemoryGates(listed, self.clock), listed
            self.scopes = MemoryScopeGates()
            self.budgets = MemoryBudgets(self.clock)
            self.alerts = ScriptedAlerts(self.clock)
        else:
            self.gates, self.audit = PostgresGates(engine), PostgresAuditTrail(engine)
            self.scopes = PostgresScopeGates(engine)
            self.budgets = PostgresBudgets(engine, self.clock)
            self.alerts = PostgresAlerts(engine)

    async def move(self, desired: GateState, actor: GateActor = PERSON, **more: int) -> int:
        """Move the free chat queue's gate and return its generation."""
        change = GateChange(CHAT_FREE, desired, "why", actor, "ann", None, more.get("concurrency"))
        return (await self.gates.change(change)).generation

    async def state(self) -> tuple[GateState, GateActor]:
        """Return how the free chat queue's gate stands, and by whom."""
        gate = (await self.gates.desired([CHAT_FREE]))[CHAT_FREE]
        return gate.desired, gate.actor

    async def move_scope(
        self, desired: GateState, scope: BudgetScope = ANN, actor: GateActor = PERSON
    ) -> list[tuple[str, GateState, int]]:
        """Move a scope's gates in the chat queues and return them."""
        change = ScopeChange(scope, (CHAT_FREE, CHAT_PAID), desired, "why", actor, "ann")
        moved = await self.scopes.change(change)
        return sorted((one.queue, one.desired, one.generation) for one in moved)


@pytest.fixture
async def bench(address: str) -> AsyncGenerator[Bench]:
    if not address:
        yield Bench(None)
        return
    engine = create_engine(address)
    yield Bench(engine)
    await engine.dispose()


async def test_every_work_queue_begins_open_and_is_seen(bench: Bench) -> None:
    seen = {one.gate.queue: one.gate.desired for one in await bench.gates.overview()}
    assert seen == dict.fromkeys(WORK_QUEUES, GateState.RUNNING)


async def test_a_moved_gate_is_one_generation_on(bench: Bench) -> None:
    first = await bench.move(GateState.PAUSED)
    assert await bench.move(GateState.SLOWED, concurrency=2) == first + 1
    gate = (await bench.gates.desired([CHAT_FREE]))[CHAT_FREE]
    assert (gate.desired, gate.reason, gate.concurrency) == (GateState.SLOWED, "why", 2)


async def test_a_wish_that_is_fulfilled_moves_nothing(bench: Bench) -> None:
    first = await bench.move(GateState.PAUSED)
    assert await bench.move(GateState.PAUSED) == first


async def test_a_budget_leaves_alone_what_a_person_shut(bench: Bench) -> None:
    await bench.move(GateState.PAUSED)
    for desired in (GateState.CLOSED, GateState.RUNNING):
        await bench.move(desired, BUDGET)
    assert await bench.state() == (GateState.PAUSED, PERSON)


async def test_a_person_moves_what_a_budget_shut(bench: Bench) -> None:
    await bench.move(GateState.PAUSED, BUDGET)
    await bench.move(GateState.RUNNING)
    assert await bench.state() == (GateState.RUNNING, PERSON)


async def test_an_open_gate_is_not_opened_by_a_budget(bench: Bench) -> None:
    first = await bench.move(GateState.RUNNING)
    assert await bench.move(GateState.RUNNING, BUDGET) == first


async def test_moves_are_in_the_audit_trail_by_id(bench: Bench) -> None:
    for desired in (GateState.PAUSED, GateState.PAUSED, GateState.RUNNING):
        await bench.move(desired)
    first, second = await bench.audit.page(0, 10)
    assert (first.kind, first.scope, first.queue, first.window) == (
        "gate",
        "global",
        CHAT_FREE,
        None,
    )
    assert (first.from_state, first.to_state) == ("running", "paused")
    assert (second.actor, second.by, second.reason) == ("person", "ann", "why")
    assert [*await bench.audit.page(0, 1)] == [first]
    assert [*await bench.audit.page(first.id, 10)] == [second]


async def test_a_scopes_gates_move_together_one_generation_on(bench: Bench) -> None:
    assert await bench.move_scope(GateState.PAUSED) == [
        (CHAT_FREE, GateState.PAUSED, 1),
        (CHAT_PAID, GateState.PAUSED, 1),
    ]
    assert [one[2] for one in await bench.move_scope(GateState.PAUSED)] == [1, 1]
    assert [one[2] for one in await bench.move_scope(GateState.RUNNING)] == [2, 2]


async def test_a_scope_without_gates_has_none_to_open(bench: Bench) -> None:
    assert await bench.move_scope(GateState.RUNNING) == []


async def test_a_persons_gate_of_a_scope_beats_a_budgets(bench: Bench) -> None:
    await bench.move_scope(GateState.PAUSED)
    await bench.move_scope(GateState.RUNNING, actor=BUDGET)
    assert {one.desired for one in await bench.scopes.all()} == {GateState.PAUSED}


async def test_gates_of_scopes_are_listed_in_order_and_closed_ones_apart(bench: Bench) -> None:
    await bench.move_scope(GateState.CLOSED, BOB)
    await bench.move_scope(GateState.PAUSED, ANN)
    listed = [(one.scope, one.queue) for one in await bench.scopes.all()]
    assert listed == [
        (str(scope), queue) for scope in (ANN, BOB) for queue in (CHAT_FREE, CHAT_PAID)
    ]
    assert {one.scope for one in await bench.scopes.closed()} == {"user:bob"}
    await bench.move_scope(GateState.RUNNING, BOB)
    assert {one.scope for one in await bench.scopes.all()} == {"user:ann"}


def _budget(window: Window, limit: int, scope: BudgetScope = ANN) -> Budget:
    threshold = Threshold(Decimal(1000), ThresholdAction.ALERT)
    return Budget(scope, window, Decimal(limit), (threshold,))


async def test_a_budget_is_replaced_and_knows_its_window(bench: Bench) -> None:
    for limit in (1, 2):
        state = await bench.budgets.put(_budget(Window.DAY, limit), "ann")
        assert state.budget == _budget(Window.DAY, limit)
        assert state.window_start == Window.DAY.start(bench.clock.now())
    assert await bench.budgets.get(ANN) == state
    assert await bench.budgets.get(BOB) is None


async def test_of_two_windows_the_one_that_was_set_last_comes_first(bench: Bench) -> None:
    for window in (Window.DAY, Window.MONTH, Window.DAY):
        await bench.budgets.put(_budget(window, 1), "ann")
        bench.clock.advance(timedelta(seconds=1))
    windows = [one.budget.window for one in await bench.budgets.of_scope(ANN)]
    assert windows == [Window.DAY, Window.MONTH]


async def test_budgets_are_listed_by_scope_and_window(bench: Bench) -> None:
    for scope in (BOB, ANN):
        for window in (Window.MONTH, Window.DAY):
            await bench.budgets.put(_budget(window, 1, scope), "ann")
    listed = [(one.budget.scope, one.budget.window) for one in await bench.budgets.all()]
    ours = [place for place in listed if place[0] in {ANN, BOB}]
    assert ours == [
        (scope, window) for scope in (ANN, BOB) for window in (Window.DAY, Window.MONTH)
    ]


async def test_a_window_or_both_are_deleted_once(bench: Bench) -> None:
    for window in Window:
        await bench.budgets.put(_budget(window, 1), "ann")
    assert await bench.budgets.delete(ANN, "ann", Window.DAY)
    assert not await bench.budgets.delete(ANN, "ann", Window.DAY)
    assert await bench.budgets.delete(ANN, "ann")
    assert [*await bench.budgets.of_scope(ANN)] == []


async def test_a_test_alert_is_found_by_its_id_and_in_pages(bench: Bench) -> None:
    first, second = [await bench.alerts.fire_test(f"test_{n}", "a test") for n in (1, 2)]
    stored = await bench.alerts.get(first)
    assert stored is not None
    assert (stored.alert.kind, stored.alert.message, stored.threshold) == (
        AlertKind.TEST,
        "a test",
        "test_1",
    )
    assert [one.alert.id for one in await bench.alerts.page(0, 1)] == [first]
    assert [one.alert.id for one in await bench.alerts.page(first, 9)] == [second]
    assert await bench.alerts.get(second + 1) is None
