"""Changes of queues' gates, inside the transaction that decides them, each with an audit entry."""

from collections.abc import Sequence

from sqlalchemy import RowMapping, text
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.domain.gates import Gate, GateActor, GateState
from shared.domain.ids import QueueName
from shared.persistence.arrays import Batch
from shared.ports.gates import GateChange

_WISH = Batch(
    queue="text",
    desired="text",
    reason="text",
    actor="text",
    by="text",
    until="timestamptz",
    concurrency="integer",
)
# A person's shut gate is not moved by a budget, and an open gate is not opened by one; nothing
# changes when all is as wished already.
_CHANGE = text(f"""
    WITH wish AS (SELECT * FROM {_WISH.table("w")}),
    before AS MATERIALIZED (
        SELECT q.* FROM queue_control q WHERE q.queue = ANY(CAST(:queue AS text[]))
        ORDER BY q.queue FOR UPDATE
    ),
    changed AS (
        UPDATE queue_control q SET desired = w.desired, generation = q.generation + 1,
            reason = w.reason, actor = w.actor, until = w.until, concurrency = w.concurrency,
            changed_at = clock_timestamp()
        FROM before b JOIN wish w USING (queue) WHERE q.queue = b.queue
            AND (w.actor = 'person' OR b.actor <> 'person' OR b.desired = 'running')
            AND (w.actor = 'person' OR b.desired <> 'running' OR w.desired <> 'running')
            AND (b.desired, b.actor, b.until, b.concurrency) IS DISTINCT FROM
                (w.desired, w.actor, w.until, w.concurrency)
        RETURNING q.*, b.desired AS from_state, w.by
    ),
    audited AS (
        INSERT INTO audit_entries (kind, scope, queue, from_state, to_state, actor, by, reason,
            changed_at)
        SELECT 'gate', 'global', queue, from_state, desired, actor, by, reason, changed_at
        FROM changed ORDER BY queue
    )
    SELECT queue, desired, generation, reason, actor, until, concurrency, true AS moved
    FROM changed
    UNION ALL
    SELECT queue, desired, generation, reason, actor, until, concurrency, false
    FROM before WHERE queue NOT IN (SELECT queue FROM changed)
""")  # noqa: S608 - only our own column lists are put in


async def change_gates(
    connection: AsyncConnection, changes: Sequence[GateChange]
) -> tuple[Sequence[Gate], bool]:
    """Move gates of different queues; returns how they stand, and whether any moved."""
    values = [
        (
            change.queue,
            change.desired.value,
            change.reason,
            change.actor.value,
            change.by,
            change.until,
            change.concurrency,
        )
        for change in changes
    ]
    rows = (await connection.execute(_CHANGE, _WISH.parameters(values))).mappings().all()
    return [gate_of(row) for row in rows], any(row["moved"] for row in rows)


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
