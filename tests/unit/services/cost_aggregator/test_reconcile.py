from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

import structlog

from services.cost_aggregator.use_cases.make_months import MakeMonths
from services.cost_aggregator.use_cases.reconcile import Reconcile
from shared.ports.reports import Reconciliation
from tests.support.chat_jobs import NOW, SetClock
from tests.support.fakes_of_operations import MemoryReconciliation


@dataclass
class RecordedUpkeep:
    """Implements `ReconciliationUpkeep`."""

    closed: list[datetime] = field(default_factory=list[datetime])
    missing: Sequence[str] = ()

    async def close_compared(self, before: datetime) -> bool:
        self.closed.append(before)
        return True

    async def make_months(self, now: datetime) -> Sequence[str]:
        del now
        made, self.missing = self.missing, ()
        return made


@dataclass
class World:
    """An aggregator's round over fakes."""

    clock: SetClock = field(default_factory=SetClock)
    upkeep: RecordedUpkeep = field(default_factory=RecordedUpkeep)
    reconciliation: MemoryReconciliation = field(default_factory=MemoryReconciliation)
    shown: list[Decimal] = field(default_factory=list[Decimal])

    def rounds(self) -> Reconcile:
        return Reconcile(self.reconciliation, self.upkeep, self.clock, self.shown.append)


async def test_a_round_compares_and_closes_what_is_old_enough() -> None:
    world = World()
    await world.rounds()()
    assert world.upkeep.closed == [NOW - timedelta(minutes=5)]
    assert world.shown == [0]


async def test_each_night_is_kept_once() -> None:
    world = World()
    reconcile = world.rounds()
    for hours in (0, 1, 24, 25):
        world.clock.time = NOW + timedelta(hours=hours)
        await reconcile()
    assert [run.ran_at for run in world.reconciliation.runs] == [NOW, NOW + timedelta(days=1)]


async def test_drift_is_shown_and_told_once() -> None:
    world = World()
    world.reconciliation.found = Reconciliation(
        drift_usd=Decimal(3), in_flight_usd=Decimal(1), attempts_without_ledger=4
    )
    reconcile = world.rounds()
    with structlog.testing.capture_logs() as logs:
        await reconcile()
        await reconcile()
    assert world.shown == [2, 2]
    told = [line for line in logs if line["event"] == "ledger.drift"]
    assert [(line["log_level"], line["drift_usd"]) for line in told] == [("error", "2")]


async def test_events_on_their_way_are_no_drift() -> None:
    world = World()
    world.reconciliation.found = Reconciliation(drift_usd=Decimal(1), in_flight_usd=Decimal(1))
    with structlog.testing.capture_logs() as logs:
        await world.rounds()()
    assert world.shown == [0]
    assert all(line["event"] != "ledger.drift" for line in logs)


async def test_new_months_are_told() -> None:
    upkeep = RecordedUpkeep(missing=["ledger_entries_y2100m02"])
    with structlog.testing.capture_logs() as logs:
        await MakeMonths(upkeep, SetClock())()
        await MakeMonths(upkeep, SetClock())()
    assert [line["partition"] for line in logs] == ["ledger_entries_y2100m02"]
