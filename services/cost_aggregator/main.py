"""Composition root of the cost aggregator: `python -m services.cost_aggregator.main`."""

import sys
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from functools import partial

import uvloop

from services.cost_aggregator.adapters.apprise_channel import open_channels
from services.cost_aggregator.adapters.log_channel import LogChannel
from services.cost_aggregator.settings import Settings, load_settings
from services.cost_aggregator.subscribers import subscribe_ledger
from services.cost_aggregator.use_cases.book_usage import BookUsage
from services.cost_aggregator.use_cases.deliver_alerts import DeliverAlerts
from services.cost_aggregator.use_cases.make_months import MakeMonths
from services.cost_aggregator.use_cases.reconcile import Reconcile
from services.cost_aggregator.use_cases.release_parked import ReleaseParked
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
from shared.persistence.repositories.alerts import PostgresAlerts
from shared.persistence.repositories.leases import PostgresLeases
from shared.persistence.repositories.ledger import PostgresLedger
from shared.persistence.repositories.ledger_upkeep import PostgresLedgerUpkeep
from shared.persistence.repositories.outbox import PostgresOutbox
from shared.persistence.repositories.reconciliation import PostgresReconciliation
from shared.persistence.repositories.releasing import PostgresParking
from shared.persistence.repositories.timed_gates import PostgresTimedGates
from shared.persistence.schema import is_migrated
from shared.ports.alerts import AlertChannel, AlertDeliveries
from shared.ports.clock import Clock
from shared.ports.messaging import Outbox
from shared.ports.money import Ledger
from shared.ports.reports import ReconciliationRepository, ReconciliationUpkeep
from shared.ports.work import LeaseRepository, ParkedCommands
from shared.providers.price_files import load_price_book
from shared.providers.routing_file import load_routing_table
from shared.system import RandomIds, SystemClock, collect_garbage_seldom

_SWEEP_PERIOD = timedelta(seconds=1)
_REOPEN_PERIOD = timedelta(seconds=1)
_RECONCILE_PERIOD = timedelta(seconds=30)
_MONTHS_PERIOD = timedelta(hours=1)
_RELEASE_PERIOD = timedelta(milliseconds=500)
_ALERT_PERIOD = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Ports:
    """What the aggregator reaches beside the broker."""

    ledger: Ledger
    leases: LeaseRepository
    gates: TimedGates
    parked: ParkedCommands
    alerts: AlertDeliveries
    outbox: Outbox
    reconciliation: ReconciliationRepository
    upkeep: ReconciliationUpkeep
    database_answers: Check
    database_migrated: Check
    channels: Sequence[AlertChannel] = ()


@asynccontextmanager
async def open_ports(settings: Settings) -> AsyncGenerator[Ports]:
    """Give the database's adapters for the time of the block."""
    channels = _channels(settings)
    engine, clock = create_engine(settings.database.url), SystemClock()
    reference = reference_prices(
        load_routing_table(settings.routing.routing), load_price_book(settings.routing.prices)
    )
    yield Ports(
        ledger=PostgresLedger(engine, clock, reference),
        leases=PostgresLeases(engine),
        gates=PostgresTimedGates(engine, clock),
        parked=PostgresParking(engine, clock),
        alerts=PostgresAlerts(engine),
        outbox=PostgresOutbox(engine),
        reconciliation=PostgresReconciliation(engine, clock),
        upkeep=PostgresLedgerUpkeep(engine),
        database_answers=partial(answers, engine),
        database_migrated=partial(is_migrated, engine),
        channels=channels,
    )
    await engine.dispose()


async def run(settings: Settings, ports: Ports) -> None:
    """Work until SIGTERM."""
    clock, ids = SystemClock(), RandomIds()
    name = ids.new(settings.process.name)
    connections = await Connections.open(settings.broker, settings.process)
    relay = OutboxRelay(ports.outbox, connections.publisher, worker=name)
    metrics = Metrics()
    deliver = _deliver_alerts(ports, metrics)
    alerts = Rounds(f"alerts:{name}", _ALERT_PERIOD, deliver)
    sweep = SweepLeases(ports.leases, relay, clock, ids)
    rounds = [
        Rounds(f"sweep:{name}", _SWEEP_PERIOD, sweep),
        Rounds(f"reopen:{name}", _REOPEN_PERIOD, ReopenGates(ports.gates, connections.hint)),
        Rounds(f"release:{name}", _RELEASE_PERIOD, ReleaseParked(ports.parked, relay)),
        Rounds(f"reconcile:{name}", _RECONCILE_PERIOD, _reconcile(ports, clock, metrics)),
        Rounds(f"months:{name}", _MONTHS_PERIOD, MakeMonths(ports.upkeep, clock)),
        alerts,
    ]
    book_usage = BookUsage(ports.ledger, connections.hint, alerts.wake)
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


def _deliver_alerts(ports: Ports, metrics: Metrics) -> DeliverAlerts:
    log = LogChannel(lambda action: metrics.count("sluiceway_alerts_total", action))
    return DeliverAlerts(
        ports.alerts,
        [log, *ports.channels],
        lambda outcome: metrics.count("sluiceway_alert_deliveries_total", outcome),
    )


def _channels(settings: Settings) -> Sequence[AlertChannel]:
    """Open the channels, or end the process with one line that names the mistake."""
    try:
        return open_channels(settings.alerts.urls.get_secret_value())
    except ValueError as error:
        sys.stderr.write(f"sluiceway: wrong setting: {error}\n")
        raise SystemExit(2) from None


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
