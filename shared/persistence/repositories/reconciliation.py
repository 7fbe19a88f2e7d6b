"""Attempts against the ledger, without reading either from its beginning.

Below the watermark everything was compared once and its sum is kept; what lacked its counterpart
then is listed. So a comparison reads what is newer, the list, and the ledger's sums by day. Both
sides' sums are kept by different statements: what one of them missed shows as drift.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from pydantic import TypeAdapter
from sqlalchemy import RowMapping, text
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.persistence.connections import statement, transaction
from shared.ports.clock import Clock
from shared.ports.reports import Occasion, Reconciliation, ReconciliationRun

_ON_ITS_WAY = timedelta(minutes=5)
"""How long a usage event may take from settlement to ledger before its absence is a fault."""
_FOUND: TypeAdapter[Reconciliation] = TypeAdapter(Reconciliation)
_SNAPSHOT = text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
_WATERMARK = text("SELECT closed_up_to, attempts, attempts_usd FROM reconciliation_watermark")
_NOTHING_CLOSED: Mapping[str, object] = {"closed_up_to": "", "attempts": 0, "attempts_usd": 0}
# The list is looked up as an array: of a table that is nearly always empty the planner thinks ill,
# and would read all attempts for it. Holds are compared only where a budget holds anything: the
# scope's attempts are those unbooked.
_COMPARE = text("""
    WITH attempt AS MATERIALIZED (
        SELECT a.id, a.job_id, a.provider, a.hold_usd, a.cost_usd, a.finished_at, a.is_hedge,
            a.outcome <> 'running' AS settled, l.id IS NOT NULL AS booked
        FROM attempts a LEFT JOIN ledger_entries l ON l.id = a.id WHERE a.id > :closed_up_to
        UNION
        SELECT a.id, a.job_id, a.provider, a.hold_usd, a.cost_usd, a.finished_at, a.is_hedge,
            a.outcome <> 'running', l.id IS NOT NULL
        FROM attempts a LEFT JOIN ledger_entries l ON l.id = a.id
        WHERE :with_open AND a.id = ANY(ARRAY(SELECT id FROM reconciliation_open))
    ),
    counted AS (
        SELECT count(*) FILTER (WHERE settled AND NOT booked) AS unbooked,
            count(*) FILTER (WHERE booked) AS booked,
            coalesce(sum(cost_usd) FILTER (WHERE settled), 0) AS cost_usd,
            coalesce(sum(cost_usd) FILTER (
                WHERE settled AND NOT booked AND finished_at > :on_its_way), 0) AS in_flight_usd
        FROM attempt
    ),
    orphan AS (
        SELECT count(*) AS entries FROM (
            SELECT id FROM ledger_entries WHERE id > :closed_up_to AND corrects IS NULL
            UNION SELECT id FROM ledger_entries
            WHERE :with_open AND id = ANY(ARRAY(SELECT id FROM reconciliation_open))
        ) e WHERE NOT EXISTS (SELECT FROM attempts a WHERE a.id = e.id)
    ),
    running AS MATERIALIZED (
        SELECT coalesce(j.lease_until >= now(), false) AS is_leased
        FROM attempts a LEFT JOIN jobs j ON j.id = a.job_id WHERE a.outcome = 'running'
    ),
    owed AS MATERIALIZED (
        SELECT s.scope, sum(a.hold_usd) AS hold_usd
        FROM attempt a JOIN jobs j ON j.id = a.job_id
        CROSS JOIN LATERAL (VALUES ('global'), ('tier:' || j.tier), ('user:' || j.user_id),
            ('key:' || j.key_id), ('provider:' || a.provider)
            UNION ALL SELECT 'hedge:' || j.tier WHERE a.is_hedge) AS s(scope)
        WHERE NOT a.booked GROUP BY s.scope
    ),
    held AS (
        SELECT coalesce(sum(abs(b.held_usd - coalesce(owed.hold_usd, 0))), 0) AS difference_usd
        FROM budgets b LEFT JOIN owed USING (scope)
        WHERE b.held_usd <> 0 OR owed.hold_usd <> 0
    ),
    ledger AS (
        SELECT coalesce(sum(entries), 0) AS entries, coalesce(sum(cost_usd), 0) AS cost_usd,
            coalesce(sum(assumed), 0) AS assumed, coalesce(sum(assumed_usd), 0) AS assumed_usd,
            coalesce(sum(corrections), 0) AS corrections,
            coalesce(sum(corrections_usd), 0) AS corrections_usd
        FROM ledger_days
    )
    SELECT c.unbooked AS attempts_without_ledger, o.entries AS ledger_without_attempt,
        CAST(greatest(0, l.entries - CAST(:attempts AS bigint) - c.booked - o.entries) AS bigint)
            AS duplicate_entries,
        (SELECT count(*) FILTER (WHERE is_leased) FROM running) AS open_holds,
        (SELECT count(*) FILTER (WHERE NOT is_leased) FROM running) AS expired_holds,
        h.difference_usd AS holds_without_attempts_usd,
        CAST(l.assumed AS bigint) AS assumed_count, l.assumed_usd AS assumed_cost_usd,
        CAST(l.corrections AS bigint) AS corrections_count, l.corrections_usd,
        c.in_flight_usd,
        CAST(:attempts_usd AS numeric) + c.cost_usd - l.cost_usd AS drift_usd
    FROM counted c, orphan o, held h, ledger l
""")
# Read from the entries themselves: what only the sums by day get wrong is not seen otherwise.
_LEDGER_DIFFERS = text("""
    SELECT (SELECT coalesce(sum(cost_usd), 0) FROM ledger_days)
        - (SELECT coalesce(sum(cost_usd), 0) FROM ledger_entries WHERE corrects IS NULL)
""")
_KEEP = text("""
    INSERT INTO reconciliation_runs (occasion, ran_at, day, found, drift_usd)
    VALUES (:occasion, :ran_at, :day, CAST(:found AS jsonb), :drift_usd) ON CONFLICT DO NOTHING
""")
_LAST = text("""
    SELECT * FROM reconciliation_runs
    WHERE CAST(:occasion AS text) IS NULL OR occasion = :occasion ORDER BY id DESC LIMIT 1
""")


class PostgresReconciliation:
    """Implements `ReconciliationRepository`."""

    def __init__(self, engine: AsyncEngine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock

    async def compare(self, *, full: bool = False) -> Reconciliation:
        """Compare attempts with the ledger, in one snapshot."""
        parameters = {"with_open": not full, "on_its_way": self._clock.now() - _ON_ITS_WAY}
        async with transaction(self._engine) as connection:
            await connection.execute(_SNAPSHOT)
            watermark: Mapping[str, object] = _NOTHING_CLOSED
            if not full:
                watermark = dict((await connection.execute(_WATERMARK)).mappings().one())
            rows = await connection.execute(_COMPARE, {**parameters, **watermark})
            found = Reconciliation(**rows.mappings().one())
            if not full:
                return found
            differs = (await connection.execute(_LEDGER_DIFFERS)).scalar_one()
        return replace(found, drift_usd=found.drift_usd + differs)

    async def keep(self, occasion: Occasion, found: Reconciliation, at: datetime) -> None:
        """Store what was found; of a night (UTC) only the first."""
        async with statement(self._engine) as connection:
            await connection.execute(
                _KEEP,
                {
                    "occasion": occasion,
                    "ran_at": at,
                    "day": at.astimezone(UTC).date(),
                    "found": _FOUND.dump_json(found).decode(),
                    "drift_usd": found.drift_usd,
                },
            )

    async def last_run(self, occasion: Occasion | None = None) -> ReconciliationRun | None:
        """Return the newest kept run."""
        async with statement(self._engine) as connection:
            rows = await connection.execute(_LAST, {"occasion": occasion})
            row = rows.mappings().one_or_none()
        return None if row is None else _run(row)


def _run(row: RowMapping) -> ReconciliationRun:
    found = _FOUND.validate_python(row["found"])
    return ReconciliationRun(row["id"], row["occasion"], row["ran_at"], found)
