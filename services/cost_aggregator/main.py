"""Composition root of the cost aggregator: `python -m services.cost_aggregator.main`."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from functools import partial

import uvloop

from services.cost_aggregator.settings import Settings, load_settings
from services.cost_aggregator.subscribers import subscribe_ledger
from services.cost_aggregator.use_cases.book_usage import BookUsage
from services.cost_aggregator.use_cases.make_months import MakeMonths
from services.cost_aggregator.use_cases.reconcile import Reconcile
from services.cost_aggregator.use_cases.reopen_gates import ReopenGates, TimedGates
from services.cost_aggregator.use_cases.sweep_leases import SweepLeases
from shared.domain.reference_prices import reference_prices
from shared.messaging.declaration import is_declared
from shared.messaging.outbox_relay import OutboxRelay
from shared.messaging.rounds import Rounds
from shared.messaging.worker_process import Connections, serve_health
from shared.observability import logging
from shared.observability.health import Check
from shared.observability.metrics import Metrics
from shared.observability.starting import until_there
from shared.persistence.engine import answers, create_engine
from shared.persistence.repositories.gates import PostgresTimedGates
from shared.persistence.repositories.leases import PostgresLeases
from shared.persistence.repositories.ledger import PostgresLedger
from shared.persistence.repositories.ledger_upkeep import PostgresLedgerUpkeep
from shared.persistence.repositories.outbox import PostgresOutbox
from shared.persistence.repositories.reconciliation import PostgresReconciliation
from shared.persistence.schema import is_migrated
from shared.ports.clock import Clock
from shared.ports.messaging import Outbox
from shared.ports.money import Ledger
from shared.ports.reports import ReconciliationRepository, ReconciliationUpkeep
from shared.ports.work import LeaseRepository
from shared.providers.price_files import load_price_book
from shared.providers.routing_file import load_routing_table
from shared.system import RandomIds, SystemClock, collect_garbage_seldom

_SWEEP_PERIOD = timedelta(seconds=1)
_REOPEN_PERIOD = timedelta(seconds=1)
_RECONCILE_PERIOD = timedelta(seconds=30)
_MONTHS_PERIOD = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Ports:
    """What the aggregator reaches beside the broker."""

    ledger: Ledger
    leases: LeaseRepository
    gates: TimedGates
    outbox: Outbox
    reconciliation: ReconciliationRepository
    upkeep: ReconciliationUpkeep
    database_answers: Check
    database_migrated: Check


@asynccontextmanager
async def open_ports(settings: Settings) -> AsyncGenerator[Ports]:
    """Give the database's adapters for the time of the block."""
    engine, clock = create_engine(settings.database.url), SystemClock()
    reference = reference_prices(
        load_routing_table(settings.routing.routing), load_price_book(settings.routing.prices)
    )
    yield Ports(
        ledger=PostgresLedger(engine, clock, reference),
        leases=PostgresLeases(engine),
        gates=PostgresTimedGates(engine, clock),
        outbox=PostgresOutbox(engine),
        reconciliation=PostgresReconciliation(engine, clock),
        upkeep=PostgresLedgerUpkeep(engine),
        database_answers=partial(answers, engine),
        database_migrated=partial(is_migrated, engine),
    )
    await engine.dispose()


async def run(settings: Settings, ports: Ports) -> None:
    """Work until SIGTERM."""
    clock, ids = SystemClock(), RandomIds()
    name = ids.new(settings.process.name)
    connections = await Connections.open(settings.broker, settings.process)
    relay = OutboxRelay(ports.outbox, connections.publisher, worker=name)
    sweep = SweepLeases(ports.leases, relay, clock, ids)
    reopen = ReopenGates(ports.gates, connections.hint)
    metrics = Metrics()
    rounds = [
        Rounds(f"sweep:{name}", _SWEEP_PERIOD, sweep),
        Rounds(f"reopen:{name}", _REOPEN_PERIOD, reopen),
        Rounds(f"reconcile:{name}", _RECONCILE_PERIOD, _reconcile(ports, clock, metrics)),
        Rounds(f"months:{name}", _MONTHS_PERIOD, MakeMonths(ports.upkeep, clock)),
    ]
    book_usage = BookUsage(ports.ledger, connections.hint)
    ledger = subscribe_ledger(settings.broker.url, name, connections.publisher, book_usage)

    async def loops_alive() -> bool:
        return relay.is_alive and ledger.is_alive and all(one.is_alive for one in rounds)

    relay.start()
    for one in rounds:
        one.start()
    await ledger.start()
    checks = {
        "broker": connections.broker_answers,
        "database": ports.database_answers,
        "loops": loops_alive,
    }
    await serve_health(settings.process, checks, metrics)
    await ledger.drain()
    for one in rounds:
        await one.drain()
    await relay.drain()
    await connections.close()


def _reconcile(ports: Ports, clock: Clock, metrics: Metrics) -> Reconcile:
    def show_drift(drift_usd: Decimal) -> None:
        metrics.show("sluiceway_ledger_drift_usd", float(drift_usd))

    return Reconcile(ports.reconciliation, ports.upkeep, clock, show_drift)


async def work(settings: Settings) -> None:
    """Run with the real adapters."""
    async with open_ports(settings) as ports:
        declared = partial(is_declared, settings.broker.url)
        await until_there({"database": ports.database_migrated, "broker": declared})
        await run(settings, ports)


def main() -> None:
    """Start the process."""
    settings = load_settings()
    logging.configure(settings.process.name, settings.process.log_level)
    collect_garbage_seldom()
    uvloop.run(work(settings))


if __name__ == "__main__":
    main()
