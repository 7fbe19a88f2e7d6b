"""Composition root of the cost aggregator: `python -m services.cost_aggregator.main`."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

import uvloop

from services.cost_aggregator.settings import Settings, load_settings
from services.cost_aggregator.subscribers import subscribe_ledger
from services.cost_aggregator.use_cases.book_usage import BookUsage
from services.cost_aggregator.use_cases.reopen_gates import ReopenGates, TimedGates
from services.cost_aggregator.use_cases.sweep_leases import SweepLeases
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
from shared.persistence.repositories.outbox import PostgresOutbox
from shared.persistence.schema import is_migrated
from shared.ports.messaging import Outbox
from shared.ports.money import Ledger
from shared.ports.work import LeaseRepository
from shared.system import RandomIds, SystemClock, collect_garbage_seldom

_SWEEP_PERIOD = timedelta(seconds=1)
_REOPEN_PERIOD = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Ports:
    """What the aggregator reaches beside the broker."""

    ledger: Ledger
    leases: LeaseRepository
    gates: TimedGates
    outbox: Outbox
    database_answers: Check
    database_migrated: Check


@asynccontextmanager
async def open_ports(settings: Settings) -> AsyncGenerator[Ports]:
    """Give the database's adapters for the time of the block."""
    engine = create_engine(settings.database.url)
    yield Ports(
        ledger=PostgresLedger(engine, SystemClock()),
        leases=PostgresLeases(engine),
        gates=PostgresTimedGates(engine, SystemClock()),
        outbox=PostgresOutbox(engine),
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
    rounds = [
        Rounds(f"sweep:{name}", _SWEEP_PERIOD, sweep),
        Rounds(f"reopen:{name}", _REOPEN_PERIOD, reopen),
    ]
    ledger = await subscribe_ledger(connections, BookUsage(ports.ledger, connections.hint))

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
    await serve_health(settings.process, checks, Metrics())
    await ledger.drain()
    for one in rounds:
        await one.drain()
    await relay.drain()
    await connections.close()


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
