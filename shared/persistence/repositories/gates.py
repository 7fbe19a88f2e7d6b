"""The truth about queue gates, and what workers make of it."""

from collections.abc import Mapping, Sequence

from sqlalchemy import RowMapping, text
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.domain.gates import Gate, QueueActual
from shared.domain.ids import QueueName
from shared.persistence.arrays import Batch
from shared.persistence.connections import statement, transaction
from shared.persistence.repositories.gate_changes import change_gates, gate_of
from shared.persistence.repositories.slowed_claims import running_calls
from shared.ports.gates import GateChange, QueueOverview, WorkerActual

_DESIRED = text("SELECT * FROM queue_control WHERE queue = ANY(CAST(:queues AS text[]))")
_ACTUAL = Batch(queue="text", actual="text", generation="bigint", in_flight="integer")
_REPORT = text(f"""
    INSERT INTO queue_actual (worker, queue, actual, generation, in_flight, seen_at)
    SELECT :worker, queue, actual, generation, in_flight, now() FROM {_ACTUAL.table("a")}
    ON CONFLICT (worker, queue) DO UPDATE SET actual = excluded.actual,
        generation = excluded.generation, in_flight = excluded.in_flight, seen_at = now()
""")  # noqa: S608 - only our own column lists are put in
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

    async def calls_under_way(self, queue: QueueName) -> int:
        """Return how many calls for jobs of a queue run now, over all workers."""
        async with statement(self._engine) as connection:
            return await running_calls(connection, "global", queue)

    async def report(self, worker: str, actual: Sequence[QueueActual]) -> None:
        """Store what a worker does with its queues."""
        values = [(a.queue, a.actual, a.generation, a.in_flight) for a in actual]
        async with statement(self._engine) as connection:
            await connection.execute(_REPORT, {**_ACTUAL.parameters(values), "worker": worker})

    async def change(self, change: GateChange) -> Gate:
        """Move a gate, one generation on, with an audit entry."""
        async with transaction(self._engine) as connection:
            (gate,), _ = await change_gates(connection, [change])
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
