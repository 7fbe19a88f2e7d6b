"""The inference worker and the aggregator in one process, on a real broker and database."""

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncEngine

from services.cost_aggregator.subscribers import subscribe_ledger
from services.cost_aggregator.use_cases.book_usage import BookUsage
from services.cost_aggregator.use_cases.release_parked import ReleaseParked
from services.cost_aggregator.use_cases.sweep_leases import SweepLeases
from services.inference_worker.main import RoutedByTable
from services.inference_worker.subscribers import subscribe
from services.inference_worker.use_cases.answer_stream import StreamPorts
from services.inference_worker.use_cases.asking import Asking
from services.inference_worker.use_cases.attempt import RunAttempt
from services.inference_worker.use_cases.calling import CallProvider
from services.inference_worker.use_cases.claims import ChatPorts, Claims, Lease
from services.inference_worker.use_cases.complete_chat import CompleteChatJob
from shared.admission.admission import REFRESH_PERIOD, SharedAdmission
from shared.admission.opening import Limits, SharedState, open_admission
from shared.domain.catalog import CLOUDFLARE, OPENAI, Provider
from shared.domain.ids import JobId
from shared.domain.jobs import JobStatus
from shared.domain.pricing import PriceBook
from shared.domain.rate_limits import RateLimit
from shared.domain.routing import RoutingTable, hedge_caps
from shared.domain.views import JobView
from shared.domain.work import NewJob, Submitted
from shared.messaging.followed_rollout import FollowedRollout, follow_cloudflare
from shared.messaging.rounds import Refresh
from shared.messaging.worker_process import Connections, WorkerProcess
from shared.observability.metrics import Metrics
from shared.persistence.repositories.attempts import PostgresAttempts
from shared.persistence.repositories.circuits import PostgresCircuits
from shared.persistence.repositories.gates import PostgresGates
from shared.persistence.repositories.hedge_caps import PostgresHedgeCaps
from shared.persistence.repositories.jobs import PostgresJobs
from shared.persistence.repositories.leases import PostgresLeases
from shared.persistence.repositories.ledger import PostgresLedger
from shared.persistence.repositories.outbox import PostgresOutbox
from shared.persistence.repositories.rate_turns import PostgresRateTurns
from shared.persistence.repositories.reconciliation import PostgresReconciliation
from shared.persistence.repositories.releasing import PostgresParking
from shared.persistence.repositories.reports import PostgresReports
from shared.persistence.repositories.rollouts import PostgresRollouts
from shared.ports.messaging import ControlHint
from shared.ports.providers import ChatModel
from shared.providers.price_files import load_price_book
from shared.providers.routing_file import load_routing_table
from shared.settings import BrokerSettings, ProcessSettings
from shared.system import RandomIds, SystemClock
from tests.support.chat_jobs import USER, rows
from tests.support.local_providers import SimulatorClient
from tests.support.waiting import wait_until

_ROOT = Path(__file__).parents[2]
_LEASE = timedelta(seconds=30)
_IN_TIME_SECONDS = 30.0


class _Bill(BaseModel):
    total_usd: Decimal


def _shipped_prices() -> PriceBook:
    return load_price_book(_ROOT / "prices")


def _shipped_table() -> RoutingTable:
    return load_routing_table(_ROOT / "deploy/routing.toml")


@dataclass(frozen=True)
class Routing:
    """Who answers what, at which price and how fast; as shipped, where a test does not say."""

    prices: PriceBook = field(default_factory=_shipped_prices)
    table: RoutingTable = field(default_factory=_shipped_table)
    limits: Sequence[RateLimit] = ()


@dataclass(frozen=True)
class Pipeline:
    """Both services at work."""

    engine: AsyncEngine
    jobs: PostgresJobs
    worker: WorkerProcess
    sweep: SweepLeases
    release: ReleaseParked
    simulator: SimulatorClient
    hint: ControlHint
    percent: Callable[[], Decimal]
    """The rollout as the worker knows it."""
    admission: SharedAdmission

    async def submit(self, job: NewJob) -> JobId:
        """Accept a job as the API does."""
        outcome = await self.jobs.submit(job)
        assert isinstance(outcome, Submitted)
        assert outcome.outbox is not None
        await self.worker.relay.flush([outcome.outbox])
        return job.id

    async def ended(self, *job_ids: JobId) -> list[JobView]:
        """Return the jobs once they have succeeded and their money is booked."""
        await wait_until(lambda: self._have_succeeded(job_ids), _IN_TIME_SECONDS)
        await wait_until(self._is_booked, _IN_TIME_SECONDS)
        found = [await self.jobs.get(job_id, USER) for job_id in job_ids]
        return [view for view in found if view is not None]

    async def billed_usd(self) -> Decimal:
        """Return the simulator's bill."""
        answer = await self.simulator.http.get(f"{self.simulator.url}/_bill")
        return _Bill.model_validate_json(answer.content).total_usd

    async def ledger_usd(self) -> Decimal:
        """Return the ledger's sum."""
        usage = await PostgresReports(self.engine).usage([], None, None)
        return sum((row.cost_usd for row in usage), Decimal(0))

    async def _have_succeeded(self, job_ids: tuple[JobId, ...]) -> bool:
        found = await rows(
            self.engine,
            "SELECT id FROM jobs WHERE id = ANY(:ids) AND status = :status",
            ids=list(job_ids),
            status=JobStatus.SUCCEEDED.value,
        )
        return len(found) == len(job_ids)

    async def _is_booked(self) -> bool:
        found = await PostgresReconciliation(self.engine, SystemClock()).compare()
        return found.attempts_without_ledger == found.open_holds == 0


@dataclass(frozen=True, slots=True)
class Called:
    """Who is called, at which prices, and for whom."""

    models: Mapping[Provider, ChatModel]
    routing: Routing
    rollout: FollowedRollout
    admission: SharedAdmission


@asynccontextmanager
async def pipeline(
    engine: AsyncEngine,
    amqp_url: str,
    simulator: SimulatorClient,
    models: Mapping[Provider, ChatModel],
    routing: Routing | None = None,
    hint: ControlHint | None = None,
) -> AsyncGenerator[Pipeline]:
    """Run both services for the time of the block and stop them as SIGTERM would.

    Without a routing of its own, the test gets the shipped one; `hint` stands for the real one, to
    lose hints.
    """
    broker = BrokerSettings.model_validate({"RABBITMQ_URL": amqp_url})
    process = ProcessSettings.model_validate({"SLUICEWAY_DRAIN_SECONDS": 20})
    clock = SystemClock()
    connections = await Connections.open(broker, process)
    called = await _called(engine, connections, models, routing or Routing())
    worker = _worker(engine, connections, process, called)
    book_usage = BookUsage(PostgresLedger(engine, clock), hint or connections.hint)
    ledger = subscribe_ledger(amqp_url, "ledger", connections.publisher, book_usage)
    admission = called.admission
    refresh = Refresh("admission", admission.refresh, REFRESH_PERIOD, admission.stop_waiting)
    await worker.start([called.rollout.refreshed(), refresh])
    await ledger.start()
    try:
        yield Pipeline(
            engine=engine,
            jobs=PostgresJobs(engine),
            worker=worker,
            sweep=SweepLeases(PostgresLeases(engine), worker.relay, clock, RandomIds()),
            release=ReleaseParked(PostgresParking(engine, clock), worker.relay),
            simulator=simulator,
            hint=connections.hint,
            percent=called.rollout.percent,
            admission=admission,
        )
    finally:
        await ledger.drain()
        await worker.drain()


async def _called(
    engine: AsyncEngine,
    connections: Connections,
    models: Mapping[Provider, ChatModel],
    routing: Routing,
) -> Called:
    rollout = await follow_cloudflare(PostgresRollouts(engine), Decimal(1))
    await PostgresHedgeCaps(engine, SystemClock()).keep(hedge_caps(routing.table))
    admission = await _admission(engine, connections, routing)
    return Called(models, routing, rollout, admission)


async def _admission(
    engine: AsyncEngine, connections: Connections, routing: Routing
) -> SharedAdmission:
    circuits = PostgresCircuits(engine)
    for provider in (CLOUDFLARE, OPENAI):  # what an earlier test's faults have opened
        await circuits.reset(provider, "key_test")
    state, limits = SharedState(circuits, PostgresRateTurns(engine)), Limits(routing.limits, {})
    return await open_admission(state, limits, connections.hint, SystemClock(), Metrics())


def _worker(
    engine: AsyncEngine,
    connections: Connections,
    process: ProcessSettings,
    called: Called,
) -> WorkerProcess:
    clock, ids = SystemClock(), RandomIds()
    attempts, worker_id = PostgresAttempts(engine), ids.new("worker")
    worker = WorkerProcess(
        connections,
        process,
        worker=worker_id,
        gates=PostgresGates(engine),
        outbox=PostgresOutbox(engine),
        attempts=attempts,
    )
    ports = ChatPorts(attempts, worker.relay, connections.publisher, worker.keeper, clock, ids)
    route = RoutedByTable(called.routing.table, called.rollout.percent)
    run_attempt = RunAttempt(
        StreamPorts(connections.frames, attempts, clock),
        CallProvider(called.models),
        called.admission,
        worker.relay,
        worker_id,
    )
    asking = Asking(route, called.routing.prices, called.admission, clock)
    subscribe(worker, CompleteChatJob(asking, Claims(ports, Lease(worker_id, _LEASE)), run_attempt))
    return worker
