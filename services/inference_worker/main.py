"""Composition root of the inference worker: `python -m services.inference_worker.main`."""

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from functools import partial

import uvloop

from services.inference_worker.settings import Settings, load_settings
from services.inference_worker.subscribers import subscribe
from services.inference_worker.use_cases.answer_stream import StreamPorts
from services.inference_worker.use_cases.asking import Asking
from services.inference_worker.use_cases.attempt import RunAttempt
from services.inference_worker.use_cases.calling import CallProvider
from services.inference_worker.use_cases.check_models import CheckModels, ModelPorts
from services.inference_worker.use_cases.claims import ChatPorts, Claims, Lease
from services.inference_worker.use_cases.complete_chat import CompleteChatJob
from shared.admission.admission import REFRESH_PERIOD
from shared.admission.opening import Limits, SharedState, open_admission
from shared.domain.catalog import Operation, Provider
from shared.domain.price_check import check_routed_prices
from shared.domain.pricing import PriceBook
from shared.domain.rollout import CLOUDFLARE_ROLLOUT, arm_of, is_inside
from shared.domain.routes import Routed
from shared.domain.routing import AUTO, RoutingTable, candidates, check_prices, hedge_caps
from shared.messages.commands import CompleteChat
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
from shared.persistence.repositories.gates import PostgresGates
from shared.persistence.repositories.hedge_caps import PostgresHedgeCaps
from shared.persistence.repositories.model_checks import PostgresModels
from shared.persistence.repositories.outbox import PostgresOutbox
from shared.persistence.repositories.rate_turns import PostgresRateTurns
from shared.persistence.repositories.rollouts import PostgresRollouts
from shared.persistence.schema import is_migrated
from shared.ports.clock import Clock
from shared.ports.gates import GateRepository
from shared.ports.messaging import Outbox
from shared.ports.models import ModelCatalogue, ModelChecks
from shared.ports.money import HedgeCaps
from shared.ports.providers import ChatModel
from shared.ports.rollouts import RolloutRepository
from shared.ports.work import AttemptRepository
from shared.providers.limits import TimeLimits
from shared.providers.price_files import load_price_book
from shared.providers.registry import FurtherServers, build_providers
from shared.providers.routing_file import load_routing_table
from shared.settings import RoutingSettings
from shared.system import RandomIds, SystemClock, collect_garbage_seldom

_MODELS_PERIOD = timedelta(seconds=30)


class RoutedByTable:
    """Implements `Route` by the routing table and the rollout."""

    def __init__(self, table: RoutingTable, rollout_percent: Callable[[], Decimal]) -> None:
        self._table = table
        self._percent = rollout_percent

    def __call__(self, job: CompleteChat) -> Routed:
        """Return the candidates for a job's tier, model and user."""
        route = self._table.routes[job.tier, Operation.CHAT]
        inside = is_inside(CLOUDFLARE_ROLLOUT, job.user_id, self._percent())
        found = candidates(self._table, job.tier, Operation.CHAT, job.model, in_rollout=inside)
        return Routed(
            found,
            arm_of(CLOUDFLARE_ROLLOUT, inside=inside),
            self._table.successors,
            route.divert,
            # Who asks for a model wants its answer, however slow it is to begin.
            route.hedge if job.model == AUTO else None,
        )


@dataclass(frozen=True, slots=True)
class Ports:
    """What the worker reaches beside the broker."""

    attempts: AttemptRepository
    gates: GateRepository
    shared_state: SharedState
    outbox: Outbox
    rollouts: RolloutRepository
    hedge_caps: HedgeCaps
    chat: Mapping[Provider, ChatModel]
    models: ModelChecks
    catalogues: Mapping[Provider, ModelCatalogue]
    database_answers: Check
    database_migrated: Check


@asynccontextmanager
async def open_ports(settings: Settings) -> AsyncGenerator[Ports]:
    """Give the database's and the providers' adapters for the time of the block."""
    engine = create_engine(settings.database.url)
    servers = load_routing_table(settings.routing.routing).servers
    providers = build_providers(
        settings.cloudflare,
        settings.openai,
        TimeLimits(**settings.patience.model_dump()),
        FurtherServers(servers, settings.provider_keys),
    )
    yield Ports(
        attempts=PostgresAttempts(engine),
        gates=PostgresGates(engine),
        shared_state=SharedState(PostgresCircuits(engine), PostgresRateTurns(engine)),
        outbox=PostgresOutbox(engine),
        rollouts=PostgresRollouts(engine),
        hedge_caps=PostgresHedgeCaps(engine, SystemClock()),
        chat=providers.chat,
        models=PostgresModels(engine),
        catalogues=providers.catalogues,
        database_answers=partial(answers, engine),
        database_migrated=partial(is_migrated, engine),
    )
    await providers.aclose()
    await engine.dispose()


async def run(settings: Settings, ports: Ports) -> None:
    """Work until SIGTERM."""
    clock, ids = SystemClock(), RandomIds()
    table, prices = _load_routing(settings.routing, clock)
    worker_id = ids.new(settings.process.name)
    rollout = await follow_cloudflare(ports.rollouts, settings.routing.rollout)
    await ports.hedge_caps.keep(hedge_caps(table))
    connections = await Connections.open(settings.broker, settings.process)
    metrics = Metrics()
    admission = await open_admission(
        ports.shared_state, _limits(settings, table), connections.hint, clock, metrics
    )
    worker = WorkerProcess(
        connections,
        settings.process,
        worker=worker_id,
        gates=ports.gates,
        outbox=ports.outbox,
        attempts=ports.attempts,
    )
    lease = Lease(worker_id, timedelta(seconds=settings.process.lease_seconds))
    chat_ports = ChatPorts(
        ports.attempts, worker.relay, connections.publisher, worker.keeper, clock, ids
    )
    run_attempt = RunAttempt(
        StreamPorts(connections.frames, ports.attempts, clock),
        CallProvider(ports.chat),
        admission,
        worker.relay,
        worker_id,
    )
    asking = Asking(RoutedByTable(table, rollout.percent), prices, admission, clock)
    subscribe(worker, CompleteChatJob(asking, Claims(chat_ports, lease), run_attempt))
    check_models = CheckModels(_model_ports(ports, metrics), table, prices, worker_id)
    refreshes = [
        rollout.refreshed(),
        Refresh("admission", admission.refresh, REFRESH_PERIOD, admission.stop_waiting),
        Refresh("models", check_models, _MODELS_PERIOD),
    ]
    await worker.serve(ports.database_answers, metrics, refreshes)


def _load_routing(settings: RoutingSettings, clock: Clock) -> tuple[RoutingTable, PriceBook]:
    table, prices = load_routing_table(settings.routing), load_price_book(settings.prices)
    check_prices(table, prices, clock.now())
    warn_about_prices(check_routed_prices(table, prices, clock.now()))
    return table, prices


def _limits(settings: Settings, table: RoutingTable) -> Limits:
    limits = table.limits if settings.routing.rate_limits else ()
    return Limits(limits, settings.token_counts)


def _model_ports(ports: Ports, metrics: Metrics) -> ModelPorts:
    return ModelPorts(
        ports.models,
        ports.catalogues,
        SystemClock(),
        lambda status, days: metrics.show(
            "sluiceway_model_days_left", days, status.provider, status.model
        ),
        lambda provider, is_stale: metrics.show("sluiceway_model_list_stale", is_stale, provider),
    )


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
