"""Budgets as ops set them; a change takes effect on gates and parked jobs in the same commit.

A scope may have one budget by day and one by month, each with a row of its own. What is held counts
against both alike, whichever window a call was claimed in.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from sqlalchemy import RowMapping, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from shared.domain.budgets import Budget, BudgetScope, Window
from shared.persistence.connections import statement, transaction
from shared.persistence.repositories.budget_rows import (
    budget,
    budget_json,
    budget_state,
    thresholds_json,
)
from shared.persistence.repositories.scope_gates import WAKE
from shared.persistence.repositories.thresholds import fire, move_gates
from shared.ports.clock import Clock
from shared.ports.money import BudgetState

_ALL = text('SELECT * FROM budgets ORDER BY scope, "window"')
_OF_SCOPE = text('SELECT * FROM budgets WHERE scope = :scope ORDER BY changed_at DESC, "window"')
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
        SELECT * FROM attempts WHERE id = ANY(ARRAY(SELECT id FROM reconciliation_open))
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
    ON CONFLICT (scope, "window") DO UPDATE SET changed_at = clock_timestamp(),
        limit_usd = excluded.limit_usd, thresholds = excluded.thresholds,
        window_start = excluded.window_start, spent_usd = excluded.spent_usd,
        fired = CASE WHEN b.window_start = excluded.window_start THEN ARRAY(
            SELECT key FROM unnest(b.fired) AS key WHERE key = ANY(CAST(:keys AS text[]))
        ) ELSE '{}' END
    RETURNING b.*
""")
_DELETE = text("""
    DELETE FROM budgets
    WHERE scope = :scope AND (CAST(:window AS text) IS NULL OR "window" = :window) RETURNING *
""")
_AUDIT = text("""
    INSERT INTO audit_entries (kind, scope, "window", from_state, to_state, actor, by, reason,
        changed_at)
    VALUES ('budget', :scope, :window, :before, :after, 'person', :by, :reason, now())
""")
# The ledger changes the rows and the rollups together, so under the rows' locks the sums are whole.
_LOCK = text('SELECT * FROM budgets WHERE scope = :scope ORDER BY "window" FOR UPDATE')
_IS_THERE = text('SELECT FROM budgets WHERE scope = :scope AND "window" = :window')
# Where there is no row yet, claims and bookings under way did not see it: wait for them to commit.
_LOCK_ALL = text("LOCK TABLE budgets IN SHARE ROW EXCLUSIVE MODE")


@dataclass(frozen=True, slots=True)
class _Author:
    """Who changes a budget, and why."""

    name: str
    reason: str


class PostgresBudgets:
    """Implements `BudgetRepository`."""

    def __init__(self, engine: AsyncEngine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock

    async def get(self, scope: BudgetScope) -> BudgetState | None:
        """Return the budget of a scope; of two, the one that was set last."""
        return next(iter(await self.of_scope(scope)), None)

    async def of_scope(self, scope: BudgetScope) -> Sequence[BudgetState]:
        """Return the budgets of a scope, the one that was set last first."""
        async with statement(self._engine) as connection:
            rows = await connection.execute(_OF_SCOPE, {"scope": str(scope)})
            return [budget_state(row, self._clock.now()) for row in rows.mappings()]

    async def all(self) -> Sequence[BudgetState]:
        """Return every budget."""
        now = self._clock.now()
        async with statement(self._engine) as connection:
            return [budget_state(row, now) for row in (await connection.execute(_ALL)).mappings()]

    async def put(self, budget: Budget, by: str, reason: str = "") -> BudgetState:
        """Replace a scope's budget of a window; what is spent and held counts against it."""
        now = self._clock.now()
        async with transaction(self._engine) as connection:
            row = await _put(connection, budget, _Author(by, reason), now)
            await fire(connection, [row], now)
            await move_gates(connection, budget.scope, now, by=by)
            await connection.execute(WAKE, {"scope": str(budget.scope)})
        return budget_state(row, now)

    async def delete(
        self, scope: BudgetScope, by: str, window: Window | None = None, reason: str = ""
    ) -> bool:
        """Remove budgets; their gates open and their parked jobs go on."""
        now = self._clock.now()
        asked = {"scope": str(scope), "window": None if window is None else window.value}
        async with transaction(self._engine) as connection:
            await connection.execute(_LOCK, asked)
            deleted = (await connection.execute(_DELETE, asked)).mappings().all()
            for row in deleted:
                await _audit(connection, _Author(by, reason), before=budget(row), after=None)
            if deleted:
                await move_gates(connection, scope, now, by=by)
                await connection.execute(WAKE, asked)
        return bool(deleted)


async def _put(
    connection: AsyncConnection, wanted: Budget, author: _Author, now: datetime
) -> RowMapping:
    start = wanted.window.start(now)
    who = {"kind": wanted.scope.kind.value, "value": wanted.scope.value}
    before, held_usd = await _lock(connection, wanted, who)
    spent = await connection.execute(_SPENT, {**who, "first_day": start.date()})
    await _audit(connection, author, before=before, after=wanted)
    rows = await connection.execute(
        _PUT,
        {
            "scope": str(wanted.scope),
            "window": wanted.window.value,
            "limit_usd": wanted.limit_usd,
            "thresholds": thresholds_json(wanted.thresholds),
            "keys": [threshold.key for threshold in wanted.thresholds],
            "window_start": start,
            "spent_usd": spent.scalar_one(),
            "held_usd": held_usd,
        },
    )
    return rows.mappings().one()


async def _lock(
    connection: AsyncConnection, wanted: Budget, who: Mapping[str, str]
) -> tuple[Budget | None, Decimal]:
    """Return the budget as it was, and what a new one starts with as held."""
    asked = {"scope": str(wanted.scope), "window": wanted.window.value}
    if (await connection.execute(_IS_THERE, asked)).one_or_none() is None:
        # Before any row: who holds the table waits for rows.
        await connection.execute(_LOCK_ALL)
    rows = (await connection.execute(_LOCK, asked)).mappings().all()
    for row in rows:
        if row["window"] == wanted.window.value:
            return budget(row), row["held_usd"]
    if rows:
        return None, rows[0]["held_usd"]
    closed = (await connection.execute(_CLOSED_UP_TO)).scalar_one()
    held = await connection.execute(_HELD, {**who, "closed_up_to": closed})
    held_usd: Decimal = held.scalar_one()
    return None, held_usd


async def _audit(
    connection: AsyncConnection,
    author: _Author,
    *,
    before: Budget | None,
    after: Budget | None,
) -> None:
    either = after or before
    if either is None or before == after:
        return
    await connection.execute(
        _AUDIT,
        {
            "scope": str(either.scope),
            "window": either.window.value,
            "before": None if before is None else budget_json(before),
            "after": None if after is None else budget_json(after),
            "by": author.name,
            "reason": author.reason,
        },
    )
