"""Gates that reopen by the clock: a window's end, or the time a person gave."""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from shared.domain.budgets import GLOBAL_SCOPE, BudgetScope
from shared.persistence.connections import statement, transaction
from shared.persistence.repositories.scope_gates import WAKE
from shared.persistence.repositories.thresholds import move_gates
from shared.ports.clock import Clock

_FORGET = text("DELETE FROM queue_actual WHERE seen_at < now() - interval '1 hour'")
_DUE = """
    SELECT 'global' AS scope FROM queue_control WHERE until <= now() AND desired <> 'running'
    UNION SELECT scope FROM scope_control WHERE until <= now() AND desired <> 'running'
    UNION SELECT scope FROM scope_control WHERE diverts_until <= now()
"""
_ANY_DUE = text(f"SELECT EXISTS ({_DUE})")
_DUE_SCOPES = text(f"{_DUE} ORDER BY scope LIMIT 100")
_LOCK = text('SELECT scope FROM budgets WHERE scope = :scope ORDER BY "window" FOR UPDATE')
_OPEN_QUEUES = text("""
    WITH changed AS (
        UPDATE queue_control q SET desired = 'running', generation = q.generation + 1,
            reason = 'its time is over', until = NULL, concurrency = NULL, changed_at = now()
        FROM queue_control b
        WHERE q.queue = b.queue AND b.until <= now() AND b.desired <> 'running'
        RETURNING q.queue, b.desired AS from_state, q.actor
    )
    INSERT INTO audit_entries (kind, scope, queue, from_state, to_state, actor, by, reason,
        changed_at)
    SELECT 'gate', 'global', queue, from_state, 'running', actor, 'clock', 'its time is over',
        now()
    FROM changed ORDER BY queue
    RETURNING id
""")
_OPEN_SCOPE = text("""
    WITH changed AS (
        UPDATE scope_control c SET generation = c.generation + 1, reason = 'its time is over',
            changed_at = now(),
            desired = CASE WHEN b.until <= now() THEN 'running' ELSE b.desired END,
            concurrency = CASE WHEN b.until <= now() THEN NULL ELSE b.concurrency END,
            until = CASE WHEN b.until <= now() THEN NULL ELSE b.until END,
            diverts_until = CASE WHEN b.diverts_until <= now() THEN NULL ELSE b.diverts_until END
        FROM scope_control b
        WHERE c.scope = :scope AND b.scope = c.scope AND b.queue = c.queue
            AND (b.until <= now() AND b.desired <> 'running' OR b.diverts_until <= now())
        RETURNING c.queue, c.desired, c.diverts_until, c.actor,
            b.desired AS old_desired, b.diverts_until AS old_diverts_until
    )
    INSERT INTO audit_entries (kind, scope, queue, from_state, to_state, actor, by, reason,
        changed_at)
    SELECT 'gate', :scope, queue,
        old_desired || CASE WHEN old_diverts_until IS NULL THEN '' ELSE ', diverted' END,
        desired || CASE WHEN diverts_until IS NULL THEN '' ELSE ', diverted' END,
        actor, 'clock', 'its time is over', now()
    FROM changed ORDER BY queue
    RETURNING id
""")


class PostgresTimedGates:
    """Any number of processes may look."""

    def __init__(self, engine: AsyncEngine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock

    async def reopen_due(self) -> bool:
        """Open the gates whose time is over, unless budgets want them shut.

        Returns:
            Whether any moved. Forgets workers long gone, too.
        """
        async with statement(self._engine) as connection:
            if not (await connection.execute(_ANY_DUE)).scalar_one():
                await connection.execute(_FORGET)
                return False
            scopes = [row.scope for row in await connection.execute(_DUE_SCOPES)]
        moved = False
        for scope in scopes:
            async with transaction(self._engine) as connection:
                moved |= await self._reopen(connection, BudgetScope.parse(scope))
        return moved

    async def _reopen(self, connection: AsyncConnection, scope: BudgetScope) -> bool:
        # The budgets' rows first, as the ledger locks them.
        await connection.execute(_LOCK, {"scope": str(scope)})
        opened = (await connection.execute(_OPEN_SCOPE, {"scope": str(scope)})).all()
        if scope == GLOBAL_SCOPE:
            opened = [*opened, *(await connection.execute(_OPEN_QUEUES)).all()]
        if not opened:
            return False
        await move_gates(connection, scope, self._clock.now(), by="clock")
        await connection.execute(WAKE, {"scope": str(scope)})
        return True
