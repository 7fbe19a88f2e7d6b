"""Lets parked commands go once there is room for them, tenant by tenant, a bounded number at once.

A look at a lot walks the tenants that have something parked in it, from where the last look ended,
takes the same share of each, and lets go what fits: nobody's backlog stands before another's.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from sqlalchemy import RowMapping, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from shared.domain.budgets import Window
from shared.domain.gates import GateState
from shared.domain.outgoing import OutboxRow
from shared.persistence.connections import transaction
from shared.persistence.repositories.outbox import INLINE_GRACE, outbox_row
from shared.persistence.repositories.slowed_claims import running_calls
from shared.ports.clock import Clock

AT_ONCE = 200
"""How many commands of one lot leave at a time."""
_PAUSE = timedelta(milliseconds=500)
"""How long the next ones wait, so that workers and budgets can take in what left."""
_SAFETY = timedelta(minutes=1)
"""When to look at a lot without room that nothing has marked; one index probe per lot."""
_LOTS_AT_ONCE = 50
_NEXT_LOT = text("""
    SELECT scope, queue, after_user FROM parking_lots WHERE look_at <= now()
    ORDER BY look_at LIMIT 1 FOR UPDATE SKIP LOCKED
""")
_GATE = text("""
    SELECT desired, concurrency, until FROM scope_control WHERE scope = :scope AND queue = :queue
""")
_ROOM = text("""
    SELECT min(limit_usd - held_usd - CASE WHEN window_start < CASE "window"
        WHEN 'day' THEN CAST(:day AS timestamptz) ELSE CAST(:month AS timestamptz) END
        THEN 0 ELSE spent_usd END) AS usd
    FROM budgets WHERE scope = :scope AND limit_usd IS NOT NULL
""")
_TENANTS = text("""
    WITH RECURSIVE tenant(user_id, number) AS (
        (SELECT user_id, 1 FROM parked_commands
            WHERE scope = :scope AND queue = :queue AND user_id > :after_user
            ORDER BY user_id LIMIT 1)
        UNION ALL
        SELECT (SELECT p.user_id FROM parked_commands p
            WHERE p.scope = :scope AND p.queue = :queue AND p.user_id > t.user_id
            ORDER BY p.user_id LIMIT 1), t.number + 1
        FROM tenant t WHERE t.user_id IS NOT NULL AND t.number < :most
    )
    SELECT user_id FROM tenant WHERE user_id IS NOT NULL
""")
_RELEASE = text("""
    WITH head AS MATERIALIZED (
        SELECT p.job_id, p.hold_usd, row_number() OVER (ORDER BY p.rank, t.place) AS turn
        FROM unnest(CAST(:tenants AS text[])) WITH ORDINALITY AS t(user_id, place)
        CROSS JOIN LATERAL (
            SELECT job_id, hold_usd, row_number() OVER (ORDER BY id) AS rank
            FROM parked_commands
            WHERE scope = :scope AND queue = :queue AND user_id = t.user_id
            ORDER BY id LIMIT :share
        ) p
        WHERE CAST(:room_usd AS numeric) IS NULL OR p.hold_usd <= :room_usd
    ),
    fitting AS MATERIALIZED (
        SELECT job_id, turn FROM (
            SELECT job_id, turn, sum(hold_usd) OVER (ORDER BY turn) AS total_usd FROM head
        ) AS h
        WHERE CAST(:room_usd AS numeric) IS NULL OR total_usd <= :room_usd
        ORDER BY turn LIMIT :slots
    ),
    gone AS (
        DELETE FROM parked_commands WHERE job_id = ANY(ARRAY(SELECT job_id FROM fitting))
        RETURNING job_id, user_id, message_id, exchange, routing_key, body
    ),
    freed AS (
        UPDATE jobs SET waiting_reason = NULL, waiting_until = NULL, waiting_detail = NULL
        WHERE id = ANY(ARRAY(SELECT job_id FROM fitting)) AND status = 'queued'
    ),
    sent AS (
        INSERT INTO outbox (message_id, exchange, routing_key, body, available_at)
        SELECT message_id, exchange, routing_key, body, now() + CAST(:grace AS interval)
        FROM gone JOIN fitting USING (job_id) ORDER BY turn
        RETURNING id, message_id, exchange, routing_key, body, mandatory
    )
    SELECT sent.*, gone.user_id
    FROM sent JOIN gone USING (message_id) JOIN fitting USING (job_id) ORDER BY fitting.turn
""")
_LEAVE = text("""
    UPDATE parking_lots SET look_at = now() + CAST(:pause AS interval), after_user = :after_user
    WHERE scope = :scope AND queue = :queue
""")
_CLOSE = text("""
    DELETE FROM parking_lots WHERE scope = :scope AND queue = :queue AND (
        SELECT job_id FROM parked_commands WHERE scope = :scope AND queue = :queue
        ORDER BY user_id, id LIMIT 1) IS NULL
    RETURNING scope
""")
_PAST_DEADLINE = text("""
    WITH late AS (
        SELECT job_id FROM parked_commands WHERE deadline <= now()
        ORDER BY deadline LIMIT :most FOR UPDATE SKIP LOCKED
    ),
    gone AS (
        DELETE FROM parked_commands WHERE job_id = ANY(ARRAY(SELECT job_id FROM late))
        RETURNING id, message_id, exchange, routing_key, body
    )
    INSERT INTO outbox (message_id, exchange, routing_key, body, available_at)
    SELECT message_id, exchange, routing_key, body, now() + CAST(:grace AS interval)
    FROM gone ORDER BY id
    RETURNING id, message_id, exchange, routing_key, body, mandatory
""")


@dataclass(frozen=True, slots=True)
class _Room:
    """How much may leave a lot now, and when to look again if nothing does."""

    slots: int
    usd: Decimal | None
    again_at: datetime | None


class PostgresParking:
    """Implements `ParkedCommands`; any number of processes may release."""

    def __init__(self, engine: AsyncEngine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock

    async def release(self) -> Sequence[OutboxRow]:
        """Put commands for which there is room, or whose deadline is over, into the outbox."""
        released: list[OutboxRow] = []
        for _ in range(_LOTS_AT_ONCE):
            async with transaction(self._engine) as connection:
                lot = (await connection.execute(_NEXT_LOT)).mappings().one_or_none()
                if lot is None:
                    break
                released += await self._look(connection, lot)
        async with transaction(self._engine) as connection:
            late = await connection.execute(
                _PAST_DEADLINE, {"most": AT_ONCE, "grace": INLINE_GRACE}
            )
            return released + [outbox_row(row) for row in late.mappings()]

    async def _look(self, connection: AsyncConnection, lot: RowMapping) -> Sequence[OutboxRow]:
        place = {"scope": lot["scope"], "queue": lot["queue"]}
        now = self._clock.now()
        room = await _room(connection, place, now)
        tenants = await _tenants(connection, place, lot["after_user"]) if room.slots else []
        released: Sequence[RowMapping] = []
        if tenants:
            parameters = {
                **place,
                "tenants": tenants,
                "share": -(-AT_ONCE // len(tenants)),
                "room_usd": room.usd,
                "slots": room.slots,
                "grace": INLINE_GRACE,
            }
            released = (await connection.execute(_RELEASE, parameters)).mappings().all()
        if (await connection.execute(_CLOSE, place)).one_or_none() is None:
            pause = _PAUSE if released else _until(room.again_at, now)
            after_user = released[-1]["user_id"] if released else lot["after_user"]
            await connection.execute(_LEAVE, {**place, "pause": pause, "after_user": after_user})
        return [outbox_row(row) for row in released]


async def _room(connection: AsyncConnection, place: dict[str, str], now: datetime) -> _Room:
    gate = (await connection.execute(_GATE, place)).mappings().one_or_none()
    slots, again_at = AT_ONCE, None
    match GateState(gate["desired"]) if gate is not None else GateState.RUNNING:
        case GateState.RUNNING:
            pass
        case GateState.SLOWED:
            running = await running_calls(connection, place["scope"], place["queue"])
            slots = max(0, (gate["concurrency"] if gate is not None else 1) - running)
            again_at = now + _PAUSE
        case GateState.PAUSED | GateState.CLOSED:
            slots, again_at = 0, gate["until"] if gate is not None else None
    windows = {"day": Window.DAY.start(now), "month": Window.MONTH.start(now)}
    found = await connection.execute(_ROOM, {"scope": place["scope"], **windows})
    return _Room(slots, found.scalar_one(), again_at or Window.DAY.end(now))


async def _tenants(
    connection: AsyncConnection, place: dict[str, str], after_user: str
) -> list[str]:
    """Return whose turn it is: the tenants behind the last one served, then those before it."""
    tenants: list[str] = []
    for start in dict.fromkeys((after_user, "")):
        left = AT_ONCE - len(tenants)
        found = await connection.execute(_TENANTS, {**place, "after_user": start, "most": left})
        # Where a walk from the beginning meets one from the middle, all have had their turn.
        tenants += [row.user_id for row in found if row.user_id not in tenants] if left else []
    return tenants


def _until(again_at: datetime | None, now: datetime) -> timedelta:
    if again_at is None:
        return _SAFETY
    return min(_SAFETY, max(again_at - now, _PAUSE))
