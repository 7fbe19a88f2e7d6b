"""Parked commands: jobs that wait for a budget's room or for a scope's gate.

Nobody polls them. They wait in lots, one per scope and queue; whatever may make room (a booking, a
raised budget, a moved gate, a window's end) marks the lot, and `PostgresParking` looks at marked
lots only. A look costs the same for ten parked commands and for a million.
"""

from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.domain.claims import Parking
from shared.persistence.arrays import Batch

_SOON = timedelta(seconds=1)
"""When to look at a lot that got a command, in case room was made just before."""
_PARKING = Batch(
    job_id="text",
    scope="text",
    hold_usd="numeric",
    reason="text",
    until="timestamptz",
    detail="text",
    message_id="text",
    exchange="text",
    routing_key="text",
    body="bytea",
)
_PARK = text(f"""
    WITH new AS (SELECT DISTINCT ON (job_id) * FROM {_PARKING.table("n")} ORDER BY job_id),
    ours AS MATERIALIZED (
        SELECT j.id FROM jobs j
        WHERE j.id = ANY(CAST(:job_id AS text[])) AND (j.status = 'queued'
            OR j.status = 'running' AND j.lease_owner = :worker AND NOT EXISTS (
                SELECT FROM attempts a WHERE a.job_id = j.id AND a.outcome = 'running'))
        ORDER BY j.id FOR UPDATE
    ),
    parked AS (
        UPDATE jobs j SET status = 'queued', lease_owner = NULL, lease_until = NULL,
            waiting_reason = n.reason, waiting_until = n.until, waiting_detail = n.detail
        FROM ours JOIN new n ON n.job_id = ours.id WHERE j.id = ours.id
        RETURNING j.id, j.queue, j.user_id, j.deadline
    ),
    command AS (
        INSERT INTO parked_commands (job_id, scope, queue, user_id, hold_usd, deadline,
            message_id, exchange, routing_key, body)
        SELECT p.id, n.scope, p.queue, p.user_id, n.hold_usd, p.deadline,
            n.message_id, n.exchange, n.routing_key, n.body
        FROM parked p JOIN new n ON n.job_id = p.id ORDER BY n.position
        ON CONFLICT (job_id) DO UPDATE
            SET scope = excluded.scope, hold_usd = excluded.hold_usd
        RETURNING scope, queue
    )
    INSERT INTO parking_lots AS l (scope, queue, look_at)
    SELECT DISTINCT scope, queue, now() + CAST(:soon AS interval) FROM command
    ORDER BY scope, queue
    ON CONFLICT (scope, queue) DO UPDATE SET look_at = least(l.look_at, excluded.look_at)
""")  # noqa: S608 - only our own column lists are put in


async def park_batch(connection: AsyncConnection, parkings: Sequence[Parking]) -> None:
    """Park all, each for itself; they come from one worker."""
    values = [
        (
            one.job_id,
            one.no_room.scope,
            one.hold_usd,
            one.no_room.reason.value,
            one.no_room.until,
            one.no_room.detail,
            one.command.message_id,
            one.command.exchange,
            one.command.routing_key,
            one.command.body,
        )
        for one in parkings
    ]
    parameters = {**_PARKING.parameters(values), "worker": parkings[0].worker, "soon": _SOON}
    await connection.execute(_PARK, parameters)
