"""The truth about queue gates, and what workers make of it."""

from collections.abc import Mapping, Sequence

from sqlalchemy import RowMapping, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from shared.domain.gates import Gate, GateActor, GateState, QueueActual
from shared.domain.ids import QueueName
from shared.persistence.arrays import Batch
from shared.persistence.connections import statement, transaction
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
# A person's shut gate is not moved by a budget, and an open gate is not opened by one; nothing
# changes when all is as wished already.
_CHANGE = text("""
    WITH before AS (SELECT * FROM queue_control WHERE queue = :queue FOR UPDATE),
    changed AS (
        UPDATE queue_control q SET desired = :desired, generation = q.generation + 1,
            reason = :reason, actor = :actor, until = :until, concurrency = :concurrency,
            changed_at = now()
        FROM before b WHERE q.queue = b.queue
            AND (:actor = 'person' OR b.actor <> 'person' OR b.desired = 'running')
            AND (:actor = 'person' OR b.desired <> 'running' OR :desired <> 'running')
            AND (b.desired, b.actor, b.until, b.concurrency) IS DISTINCT FROM
                (:desired, :actor, CAST(:until AS timestamptz), CAST(:concurrency AS integer))
        RETURNING q.*, b.desired AS from_state
    ),
    audited AS (
        INSERT INTO gate_audit (queue, from_state, to_state, actor, by, reason, changed_at)
        SELECT queue, from_state, desired, actor, :by, reason, changed_at FROM changed
    )
    SELECT queue, desired, generation, reason, actor, until, concurrency, true AS moved
    FROM changed
    UNION ALL
    SELECT queue, desired, generation, reason, actor, until, concurrency, false
    FROM before WHERE NOT EXISTS (SELECT FROM changed)
""")
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
_OVERVIEW = text("""
    SELECT q.*, (
        SELECT created_at FROM jobs
        WHERE jobs.queue = q.queue AND status = 'queued' ORDER BY id LIMIT 1
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
            return {QueueName(row["queue"]): _gate(row) for row in rows.mappings()}

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

    async def reopen_due(self) -> bool:
        """Open the gates whose time is over; True when any moved. Forgets workers long gone."""
        async with statement(self._engine) as connection:
            moved = await connection.execute(_REOPEN_DUE)
            await connection.execute(_FORGET)
            return bool(moved.all())

    async def overview(self) -> Sequence[QueueOverview]:
        """Return every work queue."""
        async with statement(self._engine) as connection:
            workers = (await connection.execute(_WORKERS)).mappings().all()
            rows = (await connection.execute(_OVERVIEW)).mappings().all()
        return [
            QueueOverview(
                gate=_gate(row),
                workers=[_worker(w) for w in workers if w["queue"] == row["queue"]],
                oldest_queued_at=row["oldest_queued_at"],
            )
            for row in rows
        ]


async def change_gate(connection: AsyncConnection, change: GateChange) -> tuple[Gate, bool]:
    """Move a gate inside the caller's transaction; tell whether it moved."""
    parameters = {
        "queue": change.queue,
        "desired": change.desired.value,
        "reason": change.reason,
        "actor": change.actor.value,
        "by": change.by,
        "until": change.until,
        "concurrency": change.concurrency,
    }
    row = (await connection.execute(_CHANGE, parameters)).mappings().one()
    return _gate(row), row["moved"]


def _gate(row: RowMapping) -> Gate:
    return Gate(
        queue=QueueName(row["queue"]),
        desired=GateState(row["desired"]),
        generation=row["generation"],
        reason=row["reason"],
        actor=GateActor(row["actor"]),
        until=row["until"],
        concurrency=row["concurrency"],
    )


def _worker(row: RowMapping) -> WorkerActual:
    actual = QueueActual(
        QueueName(row["queue"]), row["actual"], row["generation"], row["in_flight"]
    )
    return WorkerActual(row["worker"], actual, row["seen_at"])
