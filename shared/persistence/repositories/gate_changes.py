"""One gate's change, inside whatever transaction decides it, always with an audit entry."""

from sqlalchemy import RowMapping, text
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.domain.gates import Gate, GateActor, GateState
from shared.domain.ids import QueueName
from shared.ports.gates import GateChange

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
    return gate_of(row), row["moved"]


def gate_of(row: RowMapping) -> Gate:
    """Read a row of `queue_control`."""
    return Gate(
        queue=QueueName(row["queue"]),
        desired=GateState(row["desired"]),
        generation=row["generation"],
        reason=row["reason"],
        actor=GateActor(row["actor"]),
        until=row["until"],
        concurrency=row["concurrency"],
    )
