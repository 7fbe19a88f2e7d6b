"""Gates of scopes: one tenant's, tier's, key's or provider's work held up while others' goes on."""

from collections.abc import Sequence

from sqlalchemy import RowMapping, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from shared.domain.gates import GateActor, GateState, ScopeGate
from shared.domain.ids import QueueName
from shared.domain.throttling import GateWish
from shared.persistence.arrays import Batch
from shared.persistence.connections import statement, transaction
from shared.ports.gates import ScopeChange

_WISH = Batch(
    queue="text",
    desired="text",
    reason="text",
    until="timestamptz",
    concurrency="integer",
    diverts_until="timestamptz",
)
# The same rules as for queues: a person's shut gate is not moved by a budget, an open one is not
# opened by one, and a gate that is as wished is left alone. Whether work is diverted, only budgets
# say.
_CHANGE = text(f"""
    WITH wish AS (SELECT * FROM {_WISH.table("w")}),
    before AS MATERIALIZED (
        SELECT * FROM scope_control
        WHERE scope = :scope AND queue = ANY(CAST(:queue AS text[]))
        ORDER BY queue FOR UPDATE
    ),
    ruled AS (
        SELECT w.*, b.queue IS NOT NULL AS is_there,
            coalesce(b.desired, 'running') AS old_desired, b.diverts_until AS old_diverts_until,
            b.actor AS old_actor, b.until AS old_until, b.concurrency AS old_concurrency,
            b.reason AS old_reason, :actor <> 'person' AND (
                b.actor = 'person' AND b.desired <> 'running'
                OR coalesce(b.desired, 'running') = 'running' AND w.desired = 'running'
            ) AS stays
        FROM wish w LEFT JOIN before b USING (queue)
    ),
    next AS (
        SELECT queue, is_there, old_desired, old_diverts_until, old_actor, old_until,
            old_concurrency,
            CASE WHEN stays THEN old_desired ELSE desired END AS desired,
            CASE WHEN stays THEN old_until ELSE until END AS until,
            CASE WHEN stays THEN old_concurrency ELSE concurrency END AS concurrency,
            CASE WHEN stays THEN coalesce(old_actor, :actor) ELSE :actor END AS actor,
            CASE WHEN stays AND old_desired <> 'running' THEN old_reason ELSE reason END AS reason,
            CASE :actor WHEN 'person' THEN old_diverts_until ELSE diverts_until END
                AS diverts_until
        FROM ruled
    ),
    changed AS (
        INSERT INTO scope_control AS c (scope, queue, desired, generation, reason, actor, until,
            concurrency, diverts_until, changed_at)
        SELECT :scope, queue, desired, 1, reason, actor, until, concurrency, diverts_until, now()
        FROM next
        WHERE (desired, until, concurrency, diverts_until)
                IS DISTINCT FROM (old_desired, old_until, old_concurrency, old_diverts_until)
            OR is_there AND actor <> old_actor
        ORDER BY queue
        ON CONFLICT (scope, queue) DO UPDATE SET desired = excluded.desired,
            generation = c.generation + 1, reason = excluded.reason, actor = excluded.actor,
            until = excluded.until, concurrency = excluded.concurrency,
            diverts_until = excluded.diverts_until, changed_at = now()
        RETURNING c.*
    ),
    audited AS (
        INSERT INTO audit_entries (kind, scope, queue, from_state, to_state, actor, by, reason,
            changed_at)
        SELECT 'gate', :scope, c.queue,
            n.old_desired || CASE WHEN n.old_diverts_until IS NULL THEN '' ELSE ', diverted' END,
            c.desired || CASE WHEN c.diverts_until IS NULL THEN '' ELSE ', diverted' END,
            :actor, :by, c.reason, now()
        FROM changed c JOIN next n USING (queue) ORDER BY c.queue
    )
    SELECT *, true AS moved FROM changed
    UNION ALL
    SELECT *, false FROM before WHERE queue NOT IN (SELECT queue FROM changed)
""")  # noqa: S608 - only our own column lists are put in
_CLOSED = text("SELECT * FROM scope_control WHERE desired = 'closed'")
_ALL = text("""
    SELECT * FROM scope_control WHERE desired <> 'running' OR diverts_until IS NOT NULL
    ORDER BY scope, queue
""")
WAKE = text("""
    UPDATE parking_lots SET look_at = now() FROM (
        SELECT scope, queue FROM parking_lots WHERE scope = :scope ORDER BY queue FOR UPDATE
    ) AS marked
    WHERE parking_lots.scope = marked.scope AND parking_lots.queue = marked.queue
""")
"""Marks a scope's lots: there may be room."""


class PostgresScopeGates:
    """Implements `ScopeGateRepository`."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def closed(self) -> Sequence[ScopeGate]:
        """Return the gates that take no new jobs."""
        async with statement(self._engine) as connection:
            return [scope_gate(row) for row in (await connection.execute(_CLOSED)).mappings()]

    async def all(self) -> Sequence[ScopeGate]:
        """Return every gate that holds something up or diverts it."""
        async with statement(self._engine) as connection:
            return [scope_gate(row) for row in (await connection.execute(_ALL)).mappings()]

    async def change(self, change: ScopeChange) -> Sequence[ScopeGate]:
        """Move a scope's gates, each with an audit entry."""
        wishes = [
            GateWish(
                queue=queue,
                desired=change.desired,
                reason=change.reason,
                until=change.until,
                concurrency=change.concurrency,
            )
            for queue in change.queues
        ]
        async with transaction(self._engine) as connection:
            gates, _ = await change_scope_gates(
                connection, str(change.scope), wishes, change.actor, change.by
            )
        return gates


async def change_scope_gates(
    connection: AsyncConnection, scope: str, wishes: Sequence[GateWish], actor: GateActor, by: str
) -> tuple[Sequence[ScopeGate], bool]:
    """Move one scope's gates inside the caller's transaction; tell whether any moved."""
    values = [
        (w.queue, w.desired.value, w.reason, w.until, w.concurrency, w.diverts_until)
        for w in wishes
    ]
    parameters = {
        **_WISH.parameters(values),
        "scope": scope,
        "actor": actor.value,
        "by": by,
    }
    rows = (await connection.execute(_CHANGE, parameters)).mappings().all()
    moved = any(row["moved"] for row in rows)
    if moved:
        await connection.execute(WAKE, {"scope": scope})
    return [scope_gate(row) for row in rows], moved


def scope_gate(row: RowMapping) -> ScopeGate:
    """Read a row of `scope_control`."""
    return ScopeGate(
        scope=row["scope"],
        queue=QueueName(row["queue"]),
        desired=GateState(row["desired"]),
        generation=row["generation"],
        diverts_until=row["diverts_until"],
        reason=row["reason"],
        actor=GateActor(row["actor"]),
        until=row["until"],
        concurrency=row["concurrency"],
    )
