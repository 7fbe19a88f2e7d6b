"""Composition root of the embedding worker: `python -m services.embedding_worker.main`."""

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from functools import partial

import structlog
import uvloop

from services.embedding_worker.settings import Settings, load_settings
from services.embedding_worker.subscribers import subscribe
from services.embedding_worker.use_cases.attempt import BatchAttempt
from services.embedding_worker.use_cases.embed_texts import EmbedJob
from services.embedding_worker.use_cases.index_vectors import IndexVectors
from services.embedding_worker.use_cases.ports import Identity, Ports
from shared.admission.admission import REFRESH_PERIOD
from shared.admission.opening import Limits, SharedState, open_admission
from shared.domain.catalog import Operation, Provider
from shared.domain.jobs import JobKind
from shared.domain.price_check import check_routed_prices
from shared.domain.pricing import PriceBook, PriceRow
from shared.domain.rollout import CLOUDFLARE_ROLLOUT, arm_of, is_inside
from shared.domain.routes import Candidate, Routed
from shared.domain.routing import AUTO, RoutingTable, candidates, check_prices, price_of
from shared.messages.commands import EmbedTexts
from shared.messaging.declaration import is_declared
from shared.messaging.followed_rollout import follow_cloudflare
from shared.messaging.rounds import Refresh
from shared.messaging.worker_process import Connections, WorkerProcess
from shared.observability import logging
from shared.observability.health import Check
from shared.observability.metrics import Metrics
from shared.observability.price_warnings import warn_about_prices
from shared.observability.starting import until_there
from shared.persistence.engine import answers, create_engine
from shared.persistence.repositories.attempts import PostgresAttempts
from shared.persistence.repositories.circuits import PostgresCircuits
from shared.persistence.repositories.embeddings import PostgresEmbeddings
from shared.persistence.repositories.gates import PostgresGates
from shared.persistence.repositories.outbox import PostgresOutbox
from shared.persistence.repositories.rate_turns import PostgresRateTurns
from shared.persistence.repositories.rollouts import PostgresRollouts
from shared.persistence.repositories.vectors import PostgresVectors
from shared.persistence.schema import is_migrated
from shared.ports.admission import Admission
from shared.ports.clock import Clock
from shared.ports.embeddings import EmbeddingRepository, VectorIndex
from shared.ports.gates import GateRepository
from shared.ports.messaging import Outbox
from shared.ports.providers import EmbeddingModel
from shared.ports.rollouts import RolloutRepository
from shared.ports.work import AttemptRepository
from shared.providers.limits import TimeLimits
from shared.providers.price_files import load_price_book
from shared.providers.registry import FurtherServers, build_providers
from shared.providers.routing_file import load_routing_table
from shared.settings import RoutingSettings
from shared.system import RandomIds, SystemClock, collect_garbage_seldom

_INDEX_PERIOD = timedelta(seconds=2)
_log = structlog.stdlib.get_logger(__name__)


class RoutedByTable:
    """Implements `Route` by the routing table, the rollout and the price book."""

    def __init__(
        self,
        table: RoutingTable,
        prices: PriceBook,
        rollout_percent: Callable[[], Decimal],
        clock: Clock,
    ) -> None:
        self._table = table
        self._prices = prices
        self._percent = rollout_percent
        self._clock = clock

    def candidates(self, command: EmbedTexts) -> Routed:
        """Return the candidates for a job's tier, model and user.

        For an ingestion all of the route's: its collection decides which of them may be asked.
        """
        model = AUTO if command.job_kind is JobKind.INGEST else command.model
        inside = is_inside(CLOUDFLARE_ROLLOUT, command.user_id, self._percent())
        found = candidates(self._table, command.tier, Operation.EMBED, model, in_rollout=inside)
        return Routed(found, arm_of(CLOUDFLARE_ROLLOUT, inside=inside))

    def price(self, candidate: Candidate) -> PriceRow:
        """Return the price in force now."""
        return price_of(self._prices, candidate, self._clock.now())


@dataclass(frozen=True, slots=True)
class Adapters:
    """What the worker reaches beside the broker."""

    attempts: AttemptRepository
    embeddings: EmbeddingRepository
    vectors: VectorIndex
    gates: GateRepository
    shared_state: SharedState
    outbox: Outbox
    rollouts: RolloutRepository
    models: Mapping[Provider, EmbeddingModel]
    database_answers: Check
    database_migrated: Check


@asynccontextmanager
async def open_adapters(settings: Settings) -> AsyncGenerator[Adapters]:
    """Give the database's and the providers' adapters for the time of the block."""
    engine = create_engine(settings.database.url)
    servers = load_routing_table(settings.routing.routing).servers
    providers = build_providers(
        settings.cloudflare,
        settings.openai,
        TimeLimits(**settings.patience.model_dump()),
        FurtherServers(servers, settings.provider_keys),
    )
    yield Adapters(
        attempts=PostgresAttempts(engine),
        embeddings=PostgresEmbeddings(engine),
        vectors=PostgresVectors(engine),
        gates=PostgresGates(engine),
        shared_state=SharedState(PostgresCircuits(engine), PostgresRateTurns(engine)),
        outbox=PostgresOutbox(engine),
        rollouts=PostgresRollouts(engine),
        models=providers.embedding,
        database_answers=partial(answers, engine),
        database_migrated=partial(is_migrated, engine),
    )
    await providers.aclose()
    await engine.dispose()


async def run(settings: Settings, adapters: Adapters) -> None:
    """Work until SIGTERM."""
    clock, ids = SystemClock(), RandomIds()
    table, prices = _load_routing(settings.routing, clock)
    identity = Identity(
        ids.new(settings.process.name), timedelta(seconds=settings.process.lease_seconds)
    )
    rollout = await follow_cloudflare(adapters.rollouts, settings.routing.rollout)
    connections = await Connections.open(settings.broker, settings.process)
    metrics = Metrics()
    admission = await open_admission(
        adapters.shared_state, _limits(settings, table), connections.hint, clock, metrics
    )
    worker = WorkerProcess(
        connections,
        settings.process,
        worker=identity.worker,
        gates=adapters.gates,
        outbox=adapters.outbox,
        attempts=adapters.attempts,
    )
    ports = _ports(adapters, connections, worker, admission)
    route = RoutedByTable(table, prices, rollout.percent, clock)
    subscribe(worker, EmbedJob(ports, route, BatchAttempt(ports, identity)))
    index = IndexVectors(adapters.vectors, lambda: worker.in_flight.is_empty)
    refreshes = [
        rollout.refreshed(),
        Refresh("admission", admission.refresh, REFRESH_PERIOD, admission.stop_waiting),
        Refresh("index", index, _INDEX_PERIOD),
    ]
    await worker.serve(adapters.database_answers, metrics, refreshes)


def _ports(
    adapters: Adapters, connections: Connections, worker: WorkerProcess, admission: Admission
) -> Ports:
    return Ports(
        attempts=adapters.attempts,
        embeddings=adapters.embeddings,
        models=adapters.models,
        committed=worker.relay,
        publisher=connections.publisher,
        frames=connections.frames,
        gate=worker.keeper,
        admission=admission,
        clock=SystemClock(),
        ids=RandomIds(),
    )


def _load_routing(settings: RoutingSettings, clock: Clock) -> tuple[RoutingTable, PriceBook]:
    table, prices = load_routing_table(settings.routing), load_price_book(settings.prices)
    check_prices(table, prices, clock.now())
    warn_about_prices(check_routed_prices(table, prices, clock.now()))
    return table, prices


def _limits(settings: Settings, table: RoutingTable) -> Limits:
    limits = table.limits if settings.routing.rate_limits else ()
    return Limits(limits, settings.token_counts)


async def work(settings: Settings) -> None:
    """Run with the real adapters."""
    async with open_adapters(settings) as adapters:
        declared = partial(is_declared, settings.broker.url)
        await until_there({"database": adapters.database_migrated, "broker": declared})
        await run(settings, adapters)


def main() -> None:
    """Start the process."""
    settings = load_settings()
    logging.configure(settings.process.name, settings.process.log_level)
    collect_garbage_seldom()
    uvloop.run(work(settings))


if __name__ == "__main__":
    main()
