"""The ports to the database over one pool; no connection is opened before the first statement."""

from services.api.parts import Stores
from shared.persistence.engine import create_engine
from shared.persistence.repositories.alerts import PostgresAlerts
from shared.persistence.repositories.audit import PostgresAuditTrail
from shared.persistence.repositories.budgets import PostgresBudgets
from shared.persistence.repositories.circuits import PostgresCircuits
from shared.persistence.repositories.collections import PostgresCollections
from shared.persistence.repositories.embeddings import PostgresEmbeddings
from shared.persistence.repositories.gates import PostgresGates
from shared.persistence.repositories.invoices import PostgresInvoices
from shared.persistence.repositories.jobs import PostgresJobs
from shared.persistence.repositories.keys import PostgresKeys
from shared.persistence.repositories.model_checks import PostgresModels
from shared.persistence.repositories.outbox import PostgresOutbox
from shared.persistence.repositories.reconciliation import PostgresReconciliation
from shared.persistence.repositories.reports import PostgresReports
from shared.persistence.repositories.rollouts import PostgresRollouts
from shared.persistence.repositories.scope_gates import PostgresScopeGates
from shared.persistence.repositories.vectors import PostgresVectors
from shared.persistence.schema import is_migrated
from shared.ports.clock import Clock


class Database:
    """Everything the API keeps in PostgreSQL."""

    def __init__(self, url: str, clock: Clock) -> None:
        self._engine = create_engine(url)
        gates = PostgresGates(self._engine)
        self.outbox = PostgresOutbox(self._engine)
        self.stores = Stores(
            jobs=PostgresJobs(self._engine),
            keys=PostgresKeys(self._engine),
            collections=PostgresCollections(self._engine),
            embeddings=PostgresEmbeddings(self._engine),
            vectors=PostgresVectors(self._engine),
            gates=gates,
            gate_administration=gates,
            scope_gates=PostgresScopeGates(self._engine),
            audit=PostgresAuditTrail(self._engine),
            alerts=PostgresAlerts(self._engine),
            models=PostgresModels(self._engine),
            circuits=PostgresCircuits(self._engine),
            budgets=PostgresBudgets(self._engine, clock),
            reports=PostgresReports(self._engine),
            reconciliation=PostgresReconciliation(self._engine, clock),
            invoices=PostgresInvoices(self._engine, clock),
            rollouts=PostgresRollouts(self._engine),
        )

    async def is_migrated(self) -> bool:
        """Tell whether the schema is the one that this code needs.

        Raises:
            DatabaseUnavailableError: It does not answer.
        """
        return await is_migrated(self._engine)

    async def close(self) -> None:
        """Close the pool."""
        await self._engine.dispose()
