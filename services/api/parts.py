"""Everything the app reaches beyond itself, as ports: what a composition root must bring."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from services.api.settings import ApiLimits
from services.api.use_cases.flushing import GatheredFlush
from services.api.use_cases.results import StoredEmbeddings
from services.api.use_cases.watching import Watches
from shared.domain.pricing import PriceBook
from shared.domain.routing import RoutingTable
from shared.observability.health import Check
from shared.observability.metrics import Metrics
from shared.ports.access import KeyRepository
from shared.ports.alerts import AlertLog
from shared.ports.circuits import CircuitRepository
from shared.ports.clock import Clock, Ids
from shared.ports.embeddings import CollectionRepository, VectorStore
from shared.ports.gates import (
    AuditTrail,
    GateAdministration,
    GateRepository,
    ScopeGateRepository,
)
from shared.ports.invoices import InvoiceRepository
from shared.ports.messaging import ControlHint, QueueDepths
from shared.ports.models import ModelOverview
from shared.ports.money import BudgetRepository
from shared.ports.reports import ReconciliationRepository, Reports
from shared.ports.rollouts import RolloutRepository
from shared.ports.work import JobRepository


@dataclass(frozen=True, slots=True, kw_only=True)
class Stores:
    """The database's side."""

    jobs: JobRepository
    keys: KeyRepository
    collections: CollectionRepository
    embeddings: StoredEmbeddings
    vectors: VectorStore
    gates: GateRepository
    gate_administration: GateAdministration
    scope_gates: ScopeGateRepository
    audit: AuditTrail
    alerts: AlertLog
    models: ModelOverview
    circuits: CircuitRepository
    budgets: BudgetRepository
    reports: Reports
    reconciliation: ReconciliationRepository
    invoices: InvoiceRepository
    rollouts: RolloutRepository


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerSide:
    """The broker's side."""

    watches: Watches
    flush: GatheredFlush
    depths: QueueDepths
    hint: ControlHint


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiParts:
    """What `create_app` needs.

    Attributes:
        random_text: Gives 256 unpredictable bits as 43 URL-safe characters.
        admin_key: May do everything.
        checks: What `/readyz` asks, by name.
    """

    stores: Stores
    broker: BrokerSide
    routing: RoutingTable
    prices: PriceBook
    clock: Clock
    ids: Ids
    random_text: Callable[[], str]
    admin_key: str
    checks: Mapping[str, Check]
    metrics: Metrics
    limits: ApiLimits = field(default_factory=ApiLimits)
