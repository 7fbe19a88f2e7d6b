"""Budgets as ops set them; a change takes effect on gates and parked jobs in the same commit."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal

import structlog
from sqlalchemy import RowMapping, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from shared.domain.budgets import Budget, BudgetScope
from shared.domain.money import ZERO_USD
from shared.persistence.connections import statement, transaction
from shared.persistence.repositories.budget_rows import budget_state, thresholds_json
from shared.persistence.repositories.thresholds import fire, move_gates
from shared.ports.clock import Clock
from shared.ports.money import BudgetState

_log = structlog.stdlib.get_logger(__name__)
_ALL = text("SELECT * FROM budgets ORDER BY scope")
_GET = text("SELECT * FROM budgets WHERE scope = :scope")
_SPENT = text("""
    SELECT coalesce(sum(cost_usd), 0) FROM usage_rollups
    WHERE day >= :first_day AND CASE :kind
        WHEN 'tier' THEN tier = :value WHEN 'user' THEN user_id = :value
        WHEN 'key' THEN key_id = :value WHEN 'provider' THEN provider = :value
        ELSE true END
""")
# What is not booked lies above reconciliation's watermark or on its list: attempts are not read
# from their beginning while the budgets are locked.
_CLOSED_UP_TO = text("SELECT closed_up_to FROM reconciliation_watermark")
_HELD = text("""
    SELECT coalesce(sum(a.hold_usd), 0) FROM (
        SELECT * FROM attempts WHERE id > :closed_up_to
        UNION
        SELECT attempts.* FROM reconciliation_open JOIN attempts USING (id)
    ) a JOIN jobs j ON j.id = a.job_id
    WHERE NOT EXISTS (SELECT FROM ledger_entries l WHERE l.id = a.id) AND CASE :kind
        WHEN 'tier' THEN j.tier = :value WHEN 'user' THEN j.user_id = :value
        WHEN 'key' THEN j.key_id = :value WHEN 'provider' THEN a.provider = :value
        ELSE true END
""")
_PUT = text("""
    INSERT INTO budgets AS b (scope, "window", limit_usd, thresholds, window_start, spent_usd,
        held_usd)
    VALUES (:scope, :window, :limit_usd, CAST(:thresholds AS jsonb), :window_start, :spent_usd,
        :held_usd)
    ON CONFLICT (scope) DO UPDATE SET "window" = excluded."window",
        limit_usd = excluded.limit_usd, thresholds = excluded.thresholds,
        window_start = excluded.window_start, spent_usd = excluded.spent_usd,
        fired = CASE WHEN b.window_start = excluded.window_start THEN ARRAY(
            SELECT key FROM unnest(b.fired) AS key WHERE key = ANY(CAST(:keys AS text[]))
        ) ELSE '{}' END
    RETURNING b.*
""")
_DELETE = text("DELETE FROM budgets WHERE scope = :scope RETURNING *")
_FREE_PARKED = text("""
    UPDATE outbox SET parked_by = NULL, available_at = now() WHERE parked_by = :scope
""")
# The ledger changes the row and the rollups together, so under the row's lock the sums are whole.
_LOCK = text("SELECT scope FROM budgets WHERE scope = :scope FOR UPDATE")
# Where there is no row yet, claims and bookings under way did not see it: wait for them to commit.
_LOCK_ALL = text("LOCK TABLE budgets IN SHARE ROW EXCLUSIVE MODE")


class PostgresBudgets:
    """Implements `BudgetRepository`."""

    def __init__(self, engine: AsyncEngine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock

    async def get(self, scope: BudgetScope) -> BudgetState | None:
        """Return the budget of a scope."""
        async with statement(self._engine) as connection:
            found = await connection.execute(_GET, {"scope": str(scope)})
            row = found.mappings().one_or_none()
        return None if row is None else budget_state(row, self._clock.now())

    async def all(self) -> Sequence[BudgetState]:
        """Return every budget."""
        now = self._clock.now()
        async with statement(self._engine) as connection:
            return [budget_state(row, now) for row in (await connection.execute(_ALL)).mappings()]

    async def put(self, budget: Budget, by: str) -> BudgetState:
        """Replace the whole budget; what is spent and held already counts against it."""
        now = self._clock.now()
        async with transaction(self._engine) as connection:
            row = await _put(connection, budget, now)
            alerts, _ = await fire(connection, row, now)
            await move_gates(connection, budget, row["spent_usd"], now, by=by)
            await connection.execute(_FREE_PARKED, {"scope": str(budget.scope)})
        for alert in alerts:
            _log.warning("budget.alert", alert=alert)
        return budget_state(row, now)

    async def delete(self, scope: BudgetScope, by: str) -> bool:
        """Remove the budget; its gates open and its parked jobs go on."""
        now = self._clock.now()
        async with transaction(self._engine) as connection:
            deleted = await connection.execute(_DELETE, {"scope": str(scope)})
            row = deleted.mappings().one_or_none()
            if row is None:
                return False
            without = Budget(scope, budget_state(row, now).budget.window)
            await move_gates(connection, without, ZERO_USD, now, by=by)
            await connection.execute(_FREE_PARKED, {"scope": str(scope)})
        return True


async def _put(connection: AsyncConnection, budget: Budget, now: datetime) -> RowMapping:
    start = budget.window.start(now)
    who = {"kind": budget.scope.kind.value, "value": budget.scope.value}
    held_usd = await _lock(connection, budget.scope, who)
    spent = await connection.execute(_SPENT, {**who, "first_day": start.date()})
    rows = await connection.execute(
        _PUT,
        {
            "scope": str(budget.scope),
            "window": budget.window.value,
            "limit_usd": budget.limit_usd,
            "thresholds": thresholds_json(budget.thresholds),
            "keys": [threshold.key for threshold in budget.thresholds],
            "window_start": start,
            "spent_usd": spent.scalar_one(),
            "held_usd": held_usd,
        },
    )
    return rows.mappings().one()


async def _lock(connection: AsyncConnection, scope: BudgetScope, who: Mapping[str, str]) -> Decimal:
    """Return what a new budget starts with as held: calls under way or not booked yet."""
    found = await connection.execute(_LOCK, {"scope": str(scope)})
    if found.one_or_none() is not None:
        return ZERO_USD  # the row keeps its own
    await connection.execute(_LOCK_ALL)
    closed = (await connection.execute(_CLOSED_UP_TO)).scalar_one()
    held = await connection.execute(_HELD, {**who, "closed_up_to": closed})
    held_usd: Decimal = held.scalar_one()
    return held_usd
