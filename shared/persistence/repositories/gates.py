"""The truth about queue gates, and what workers make of it."""

from collections.abc import Mapping, Sequence

from sqlalchemy import RowMapping, text
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.domain.gates import Gate, QueueActual
from shared.domain.ids import QueueName
from shared.persistence.arrays import Batch
from shared.persistence.connections import statement, transaction
from shared.persistence.repositories.budget_rows import budget_state
from shared.persistence.repositories.gate_changes import change_gate, gate_of
from shared.persistence.repositories.thresholds import move_gates
from shared.ports.clock import Clock
from shared.ports.gates import GateChange, QueueOverview, WorkerActual

_DESIRED = text("SELECT * FROM queue_control WHERE queue = ANY(CAST(:queues AS text[]))")
_ACTUAL = Batch(queue="text", actual="text", generation="bigint", in_flight="integer")
_REPORT = text(f"""
    INSERT INTO queue_actual (worker, queue, actual, generation, in_flight, seen_at)
    SELECT :worker, queue, actual, generation, in_flight, now() FROM {_ACTUAL.table("a")}
    ON CONFLICT (worker, queue) DO UPDATE SET actual = excluded.actual,
        generation = excluded.generation, in_flight = excluded.in_flight, seen_at = now()
""")  # noqa: S608 - only our own column lists are put in
_FORGET = text("DELETE FROM queue_actual WHERE seen_at < now() - interval '1 hour'")
_ANY_DUE = text("""
    SELECT EXISTS (SELECT FROM queue_control WHERE until <= now() AND desired <> 'running')
""")
_GLOBAL_BUDGET = text("SELECT * FROM budgets WHERE scope = 'global' FOR UPDATE")
_REOPEN_DUE = text("""
    WITH changed AS (
        UPDATE queue_control q SET desired = 'running', generation = q.generation + 1,
            reason = 'its time is over', until = NULL, concurrency = NULL, changed_at = now()
        FROM queue_control b
        WHERE q.queue = b.queue AND b.until <= now() AND b.desired <> 'running'
        RETURNING q.queue, b.desired AS from_state, q.actor
    )
    INSERT INTO gate_audit (queue, from_state, to_state, actor, by, reason, changed_at)
    SELECT queue, from_state, 'running', actor, 'clock', 'its time is over', now() FROM changed
    RETURNING id
""")
# By range and in the index's own order: with `=` the planner may walk all jobs in order of id
# until it meets one of the queue, which an empty queue never has.
OVERVIEW = text("""
    SELECT q.*, (
        SELECT created_at FROM jobs
        WHERE jobs.queue >= q.queue AND jobs.queue <= q.queue AND status = 'queued'
        ORDER BY jobs.queue, jobs.id LIMIT 1
    ) AS oldest_queued_at
    FROM queue_control q ORDER BY q.queue
""")
_WORKERS = text("""
    SELECT * FROM queue_actual WHERE seen_at > now() - interval '15 seconds'
    ORDER BY queue, worker
""")


class PostgresGates:
    """Implements `GateRepository` and `GateAdministration`."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def desired(self, queues: Sequence[QueueName]) -> Mapping[QueueName, Gate]:
        """Return the gate of each queue."""
        async with statement(self._engine) as connection:
            rows = await connection.execute(_DESIRED, {"queues": list(queues)})
            return {QueueName(row["queue"]): gate_of(row) for row in rows.mappings()}

    async def report(self, worker: str, actual: Sequence[QueueActual]) -> None:
        """Store what a worker does with its queues."""
        values = [(a.queue, a.actual, a.generation, a.in_flight) for a in actual]
        async with statement(self._engine) as connection:
            await connection.execute(_REPORT, {**_ACTUAL.parameters(values), "worker": worker})

    async def change(self, change: GateChange) -> Gate:
        """Move a gate, one generation on, with an audit entry."""
        async with transaction(self._engine) as connection:
            gate, _ = await change_gate(connection, change)
        return gate

    async def overview(self) -> Sequence[QueueOverview]:
        """Return every work queue."""
        async with statement(self._engine) as connection:
            workers = (await connection.execute(_WORKERS)).mappings().all()
            rows = (await connection.execute(OVERVIEW)).mappings().all()
        return [
            QueueOverview(
                gate=gate_of(row),
                workers=[_worker(w) for w in workers if w["queue"] == row["queue"]],
                oldest_queued_at=row["oldest_queued_at"],
            )
            for row in rows
        ]


def _worker(row: RowMapping) -> WorkerActual:
    actual = QueueActual(
        QueueName(row["queue"]), row["actual"], row["generation"], row["in_flight"]
    )
    return WorkerActual(row["worker"], actual, row["seen_at"])


class PostgresTimedGates:
    """Gates that reopen by the clock; any number of processes may look."""

    def __init__(self, engine: AsyncEngine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock

    async def reopen_due(self) -> bool:
        """Open the gates whose time is over, unless the budget wants them shut.

        Returns:
            Whether any moved. Forgets workers long gone, too.
        """
        async with statement(self._engine) as connection:
            if not (await connection.execute(_ANY_DUE)).scalar_one():
                await connection.execute(_FORGET)
                return False
        now = self._clock.now()
        async with transaction(self._engine) as connection:
            # The budget's row first, as the ledger locks it.
            row = (await connection.execute(_GLOBAL_BUDGET)).mappings().one_or_none()
            moved = (await connection.execute(_REOPEN_DUE)).all()
            if moved and row is not None:
                state = budget_state(row, now)
                await move_gates(connection, state.budget, state.spent_usd, now, by="clock")
        return bool(moved)
