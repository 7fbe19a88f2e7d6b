"""What the ledger needs now and then: months ahead, and the watermark of what was compared.

One process does it at a time; who comes second leaves it to the first.
"""

from collections.abc import Sequence
from datetime import UTC, datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from shared.domain.ids_in_time import first_id_at, month_start, next_month
from shared.persistence.connections import statement, transaction

_LOCK = 7_305_114
"""An advisory lock: replicas need not do this side by side."""
_MONTHS_AHEAD = 3
_STEP = 20_000
_STEPS = 50
"""A round closes a million attempts at most, so that an old database is compared piece by piece."""
_TRY_LOCK = text("SELECT pg_try_advisory_xact_lock(:lock)")
_NEXT = text("""
    SELECT max(id) FROM (
        SELECT id FROM (
            (SELECT id FROM attempts WHERE id > :closed_up_to AND id < :before
                ORDER BY id LIMIT :step)
            UNION ALL
            (SELECT id FROM ledger_entries WHERE id > :closed_up_to AND id < :before
                ORDER BY id LIMIT :step)
        ) both_sides ORDER BY id LIMIT :step
    ) following
""")
_CLOSED_UP_TO = text("SELECT closed_up_to FROM reconciliation_watermark")
_CLOSE = text("""
    WITH attempt AS MATERIALIZED (
        SELECT a.id, a.cost_usd, a.outcome <> 'running' AND l.id IS NOT NULL AS is_matched
        FROM attempts a LEFT JOIN ledger_entries l ON l.id = a.id
        WHERE a.id > :closed_up_to AND a.id <= :next
    ),
    listed AS (
        INSERT INTO reconciliation_open (id)
        SELECT id FROM attempt WHERE NOT is_matched
        UNION ALL
        SELECT id FROM ledger_entries l WHERE l.id > :closed_up_to AND l.id <= :next
            AND corrects IS NULL AND NOT EXISTS (SELECT FROM attempts a WHERE a.id = l.id)
        ON CONFLICT DO NOTHING
    )
    UPDATE reconciliation_watermark w SET closed_up_to = :next,
        attempts = w.attempts + m.attempts, attempts_usd = w.attempts_usd + m.cost_usd
    FROM (SELECT count(*) AS attempts, coalesce(sum(cost_usd), 0) AS cost_usd
        FROM attempt WHERE is_matched) m
""")
_MATCH = text("""
    WITH settled AS MATERIALIZED (
        SELECT id, cost_usd FROM attempts
        WHERE id = ANY(ARRAY(SELECT id FROM reconciliation_open)) AND outcome <> 'running'
    ),
    booked AS MATERIALIZED (
        SELECT id FROM ledger_entries WHERE id = ANY(ARRAY(SELECT id FROM settled))
    ),
    listed AS (
        DELETE FROM reconciliation_open WHERE id = ANY(ARRAY(SELECT id FROM booked)) RETURNING id
    ),
    matched AS (SELECT cost_usd FROM settled JOIN listed USING (id))
    UPDATE reconciliation_watermark w SET attempts = w.attempts + m.attempts,
        attempts_usd = w.attempts_usd + m.cost_usd
    FROM (SELECT count(*) AS attempts, coalesce(sum(cost_usd), 0) AS cost_usd FROM matched) m
    WHERE m.attempts > 0
""")
_IS_THERE = text("SELECT to_regclass(:name) IS NOT NULL")
_IN_THE_WAY = text("""
    SELECT EXISTS (SELECT FROM ledger_entries_other WHERE id >= :first AND id < :last)
""")
_PATIENCE = text("SET LOCAL lock_timeout = '2s'")


class PostgresLedgerUpkeep:
    """Implements `ReconciliationUpkeep`."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def close_compared(self, before: datetime) -> bool:
        """Move the watermark over attempts made before a moment; False if another does so now."""
        for _ in range(_STEPS):
            async with transaction(self._engine) as connection:
                if not (await connection.execute(_TRY_LOCK, {"lock": _LOCK})).scalar_one():
                    return False
                await connection.execute(_MATCH)
                if not await _close_step(connection, first_id_at(before)):
                    return True
        return True

    async def make_months(self, now: datetime) -> Sequence[str]:
        """Make this month's partition and the next ones; what lies in the way stays where it is.

        An entry whose month has no partition goes to `ledger_entries_other`: none is ever refused.
        """
        made: list[str] = []
        start = month_start(now.astimezone(UTC))
        for _ in range(_MONTHS_AHEAD + 1):
            end = next_month(start)
            name = f"ledger_entries_y{start.year:04}m{start.month:02}"
            if await self._make(name, first_id_at(start), first_id_at(end)):
                made.append(name)
            start = end
        return made

    async def _make(self, name: str, first: str, last: str) -> bool:
        async with statement(self._engine) as connection:
            if (await connection.execute(_IS_THERE, {"name": name})).scalar_one():
                return False
        async with transaction(self._engine) as connection:
            await connection.execute(_PATIENCE)
            if not (await connection.execute(_TRY_LOCK, {"lock": _LOCK})).scalar_one():
                return False
            between = {"first": first, "last": last}
            if (await connection.execute(_IN_THE_WAY, between)).scalar_one():
                return False
            await connection.execute(
                text(
                    f"CREATE TABLE IF NOT EXISTS {name} PARTITION OF ledger_entries "
                    f"FOR VALUES FROM ('{first}') TO ('{last}')"
                )
            )
        return True


async def _close_step(connection: AsyncConnection, before: str) -> bool:
    closed: str = (await connection.execute(_CLOSED_UP_TO)).scalar_one()
    following = await connection.execute(
        _NEXT, {"closed_up_to": closed, "before": before, "step": _STEP}
    )
    last_id: str | None = following.scalar_one()
    if last_id is None:
        return False
    await connection.execute(_CLOSE, {"closed_up_to": closed, "next": last_id})
    return True
