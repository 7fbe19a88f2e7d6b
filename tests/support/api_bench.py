"""The API over fakes: one object that holds them all, and a client that talks to the app."""

from pathlib import Path

import httpx
from starlette.types import ASGIApp

from services.api.app import create_app
from services.api.parts import ApiParts, BrokerSide, Stores
from services.api.routes.observed import Observed
from services.api.settings import ApiLimits
from services.api.use_cases.authenticate import secret_hash
from services.api.use_cases.flushing import GatheredFlush
from shared.domain.access import ApiKey
from shared.domain.catalog import Tier
from shared.domain.ids import KeyId, UserId
from shared.domain.pricing import PriceBook
from shared.observability.metrics import Metrics
from shared.providers.price_files import load_price_book
from shared.providers.routing_file import load_routing_table
from tests.support.fakes_of_circuits import MemoryCircuits
from tests.support.fakes_of_collections import MemoryCollections, MemoryVectors
from tests.support.fakes_of_gates import ListedAudit, MemoryGates, MemoryScopeGates
from tests.support.fakes_of_models import MemoryModels
from tests.support.fakes_of_operations import (
    CountingHint,
    FixedDepths,
    MemoryBudgets,
    MemoryInvoices,
    MemoryReconciliation,
    MemoryReports,
    ScriptedAlerts,
)
from tests.support.fakes_of_rollouts import MemoryRollouts
from tests.support.fakes_of_time import CountingIds, StillClock
from tests.support.fakes_of_work import MemoryJobs, MemoryKeys, MemoryWatches, RecordingRelay

ADMIN_KEY = "admin-key-of-the-tests"
_ANNS_KEY = "sk-slw-ann"
_ROOT = Path(__file__).parents[2]
ROUTING = _ROOT / "deploy" / "routing.toml"
_SHIPPED_PRICES = load_price_book(_ROOT / "prices")


class ApiBench:
    """An app over fakes. `ann` (free), `bob` (paid) and `pam` (premium) have keys `sk-slw-ann` …"""

    def __init__(
        self, limits: ApiLimits | None = None, prices: PriceBook = _SHIPPED_PRICES
    ) -> None:
        self.prices = prices
        self.clock = StillClock()
        self.ids = CountingIds()
        self.jobs = MemoryJobs()
        self.keys = MemoryKeys()
        self.collections = MemoryCollections()
        self.vectors = MemoryVectors()
        self.gates = MemoryGates()
        self.scope_gates = MemoryScopeGates()
        self.audit = ListedAudit()
        self.alerts = ScriptedAlerts(self.clock)
        self.models = MemoryModels()
        self.circuits = MemoryCircuits()
        self.budgets = MemoryBudgets(self.clock)
        self.reports = MemoryReports()
        self.reconciliation = MemoryReconciliation()
        self.invoices = MemoryInvoices()
        self.rollouts = MemoryRollouts(self.audit, self.clock)
        self.watches = MemoryWatches()
        self.relay = RecordingRelay()
        self.depths = FixedDepths()
        self.hint = CountingHint()
        self.metrics = Metrics()
        self.is_ready = True
        self.parts = self._parts(limits or ApiLimits())
        for name, tier in (("ann", Tier.FREE), ("bob", Tier.PAID), ("pam", Tier.PREMIUM)):
            self.keys.keys[secret_hash(f"sk-slw-{name}")] = ApiKey(
                id=KeyId(f"key_{name}"),
                user_id=UserId(name),
                tier=tier,
                scopes=frozenset({"jobs"}),
                created_at=self.clock.now(),
                expires_at=None,
                limits_json=None,
            )
        self.app: ASGIApp = Observed(create_app(self.parts), self.ids, self.clock, self.metrics)

    def client(self, secret: str | None = _ANNS_KEY) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            transport=httpx.ASGITransport(self.app, raise_app_exceptions=False),
            base_url="http://api",
            headers={} if secret is None else {"authorization": f"Bearer {secret}"},
        )

    def admin(self) -> httpx.AsyncClient:
        return self.client(ADMIN_KEY)

    async def _check(self) -> bool:
        return self.is_ready

    def _parts(self, limits: ApiLimits) -> ApiParts:
        return ApiParts(
            stores=Stores(
                jobs=self.jobs,
                keys=self.keys,
                collections=self.collections,
                embeddings=self.vectors,
                vectors=self.vectors,
                gates=self.gates,
                gate_administration=self.gates,
                scope_gates=self.scope_gates,
                audit=self.audit,
                alerts=self.alerts,
                models=self.models,
                circuits=self.circuits,
                budgets=self.budgets,
                reports=self.reports,
                reconciliation=self.reconciliation,
                invoices=self.invoices,
                rollouts=self.rollouts,
            ),
            broker=BrokerSide(
                watches=self.watches,
                flush=GatheredFlush(self.relay),
                depths=self.depths,
                hint=self.hint,
            ),
            routing=load_routing_table(ROUTING),
            prices=self.prices,
            clock=self.clock,
            ids=self.ids,
            random_text=lambda: "r" * 43,
            admin_key=ADMIN_KEY,
            checks={"database": self._check},
            metrics=self.metrics,
            limits=limits,
        )
