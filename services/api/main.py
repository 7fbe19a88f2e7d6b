"""The API process: settings and adapters in, one HTTP server out.

The only module that knows all adapters. It stops in this order: watchers are told to come back,
running requests end, committed messages leave, connections close.
"""

import asyncio
import resource
import secrets
import sys
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from typing import Final

import structlog
import uvicorn
import uvloop
from aio_pika.exceptions import AMQPError

from services.api.app import create_app
from services.api.checks import broker_takes_messages, database_answers
from services.api.database import Database
from services.api.parts import ApiParts, BrokerSide
from services.api.result_stream import ResultStream
from services.api.routes.observed import Observed
from services.api.use_cases.flushing import GatheredFlush
from shared.domain.errors import SluicewayError
from shared.domain.price_check import check_routed_prices
from shared.domain.pricing import PriceBook
from shared.domain.routing import RoutingTable
from shared.messaging.declaration import is_declared
from shared.messaging.followed_rollout import follow_cloudflare
from shared.messaging.outbox_relay import OutboxRelay
from shared.messaging.queue_depths import BrokerQueueDepths
from shared.messaging.worker_process import Connections
from shared.observability.health import Check
from shared.observability.logging import configure
from shared.observability.metrics import Metrics
from shared.observability.price_warnings import warn_about_prices
from shared.observability.serving import StoppableServer
from shared.observability.starting import until_there
from shared.ports.clock import Clock
from shared.providers.price_files import load_price_book
from shared.providers.routing_file import load_routing_table
from shared.settings import (
    AdminSettings,
    BrokerSettings,
    DatabaseSettings,
    ProcessSettings,
    RoutingSettings,
    load,
)
from shared.system import RandomIds, SystemClock, collect_garbage_seldom

_OPEN_FILES_WITHOUT_LIMIT: Final = 1_048_576
_KEEP_ALIVE_SECONDS = 75
"""Longer than the idle time of common client pools, so that the client closes first."""
_WEBSOCKET_MESSAGE_BYTES: Final = 64 * 1024
_SECRET_BYTES: Final = 32

_log = structlog.stdlib.get_logger(__name__)


def main() -> int:
    """Serve until SIGTERM; return the exit status."""
    process = load(ProcessSettings)
    configure(process.name, process.log_level)
    _raise_open_files_limit()
    collect_garbage_seldom()
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            database = Database(load(DatabaseSettings).url, SystemClock())
            runner.run(run(process, database))
    except (SluicewayError, AMQPError, ConnectionError) as error:
        _log.critical("api.failed", error=f"{type(error).__name__}: {error}")
        return 1
    return 0


async def run(process: ProcessSettings, database: Database) -> None:
    """Serve until SIGTERM, then close the database too."""
    clock, ids, metrics = SystemClock(), RandomIds(), Metrics()
    routing, prices = _load_routing(clock)
    connections = await _connect(process, database)
    relay = OutboxRelay(database.outbox, connections.publisher, worker=process.name)
    stream = await ResultStream.open(
        connections.consuming,
        ids.new("boot"),
        lambda count: metrics.show("sluiceway_watchers", count),
    )
    broker = BrokerSide(
        watches=stream,
        flush=GatheredFlush(relay),
        depths=await BrokerQueueDepths.open(connections.consuming),
        hint=connections.hint,
    )
    parts = ApiParts(
        stores=database.stores,
        broker=broker,
        routing=routing,
        prices=prices,
        clock=clock,
        ids=ids,
        random_text=lambda: secrets.token_urlsafe(_SECRET_BYTES),
        admin_key=load(AdminSettings).admin_key.get_secret_value(),
        checks=_checks(connections, database),
        metrics=metrics,
    )
    relay.start()
    _log.info("api.started", port=process.port)
    await _server(parts, process, stream).serve()
    _log.info("api.draining")
    await broker.flush.drain()
    await relay.drain()
    await stream.close()
    await connections.close()
    await database.close()
    _log.info("api.stopped")


def _load_routing(clock: Clock) -> tuple[RoutingTable, PriceBook]:
    settings = load(RoutingSettings)
    table, prices = load_routing_table(settings.routing), load_price_book(settings.prices)
    warn_about_prices(check_routed_prices(table, prices, clock.now()))
    return table, prices


def _checks(connections: Connections, database: Database) -> Mapping[str, Check]:
    return {
        "broker": broker_takes_messages(connections),
        "database": database_answers(database.stores.gates),
    }


async def _connect(process: ProcessSettings, database: Database) -> Connections:
    """Connect to the broker once it and the database are there, with a rollout to show."""
    settings = load(BrokerSettings)
    declared = partial(is_declared, settings.url)
    await until_there({"database": database.is_migrated, "broker": declared})
    await follow_cloudflare(database.stores.rollouts, load(RoutingSettings).rollout)
    return await Connections.open(settings, process)


def _server(parts: ApiParts, process: ProcessSettings, stream: ResultStream) -> StoppableServer:
    config = uvicorn.Config(
        Observed(create_app(parts), parts.ids, parts.clock, parts.metrics),
        host=process.host,
        port=process.port,
        loop="uvloop",
        http="httptools",
        ws="websockets-sansio",
        ws_max_size=_WEBSOCKET_MESSAGE_BYTES,
        ws_per_message_deflate=False,
        lifespan="off",
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=int(process.drain_seconds),
    )
    return StoppableServer(config, before_stop=stream.dismiss_watchers)


def _raise_open_files_limit() -> None:
    """Let this process hold as many sockets as the system allows it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _OPEN_FILES_WITHOUT_LIMIT if hard == resource.RLIM_INFINITY else hard
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


if __name__ == "__main__":
    sys.exit(main())
