"""The caps of second requests, as budgets that nobody but the routing table sets.

Invariant: no claim of a second request goes through without its tier's row, and no row ever
leaves; so each of them is counted from the first one on, and nothing has to be summed up here.
"""

from collections.abc import Mapping
from decimal import Decimal

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.domain.budgets import Window, hedge_scope
from shared.domain.catalog import Tier
from shared.persistence.arrays import Batch
from shared.persistence.connections import statement
from shared.ports.clock import Clock

_CAP = Batch(scope="text", limit_usd="numeric")
_KEEP = text(f"""
    INSERT INTO budgets AS b (scope, "window", limit_usd, thresholds, window_start, spent_usd,
        held_usd)
    SELECT scope, 'day', limit_usd, '[]', :window_start, 0, 0
    FROM {_CAP.table("c")} ORDER BY scope
    ON CONFLICT (scope, "window") DO UPDATE SET limit_usd = excluded.limit_usd,
        changed_at = clock_timestamp()
    WHERE b.limit_usd <> excluded.limit_usd
""")  # noqa: S608 - only our own column lists are put in


class PostgresHedgeCaps:
    """Implements `HedgeCaps`."""

    def __init__(self, engine: AsyncEngine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock

    async def keep(self, caps: Mapping[Tier, Decimal]) -> None:
        """Let each tier's second requests cost at most so many USD a UTC day."""
        if not caps:
            return
        values = [(str(hedge_scope(tier)), cap_usd) for tier, cap_usd in caps.items()]
        window_start = Window.DAY.start(self._clock.now())
        async with statement(self._engine) as connection:
            await connection.execute(
                _KEEP, {**_CAP.parameters(values), "window_start": window_start}
            )
