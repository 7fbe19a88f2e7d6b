"""Turns within rate limits: a row per limit says when its next one is.

Rows are locked in the order of their names and read once they are ours, so that turns follow one
another whoever asks, on the database's clock.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from shared.domain.rate_limits import Pace, TurnLine
from shared.persistence.arrays import Batch
from shared.persistence.connections import statement, transaction
from shared.ports.rate_turns import TurnWish

_NEW = text("""
    INSERT INTO rate_turns (rate_limit, next_turn)
    SELECT rate_limit, '-infinity' FROM unnest(CAST(:limits AS text[])) AS n(rate_limit)
    ORDER BY rate_limit ON CONFLICT DO NOTHING
""")
_LOCK = text("""
    SELECT rate_limit, greatest(next_turn, '1970-01-01T00:00:00Z') AS next_turn FROM rate_turns
    WHERE rate_limit = ANY(CAST(:limits AS text[])) ORDER BY rate_limit FOR UPDATE
""")
_NOW = text("SELECT clock_timestamp()")
_LINES = Batch(rate_limit="text", next_turn="timestamptz")
_MOVE = text(f"""
    UPDATE rate_turns r SET next_turn = n.next_turn FROM {_LINES.table("n")}
    WHERE r.rate_limit = n.rate_limit
""")  # noqa: S608 - only our own column lists are put in
_GIVE_BACK = text("""
    UPDATE rate_turns SET next_turn = next_turn - CAST(:unused AS interval)
    WHERE rate_limit = :rate_limit
""")


class PostgresRateTurns:
    """Implements `RateTurns`."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._known: set[str] = set()

    async def take(
        self, wishes: Sequence[TurnWish], within: timedelta
    ) -> Sequence[timedelta | None]:
        """Give each wish its turn, in order, as a wait from now on."""
        paces = {limit: pace for wish in wishes for limit, pace in wish.paces.items()}
        async with transaction(self._engine) as connection:
            next_turns = await self._lock(connection, [*paces])
            now = (await connection.execute(_NOW)).scalar_one()
            lines = {
                limit: TurnLine(paces[limit], next_turn, now + within)
                for limit, next_turn in next_turns.items()
            }
            waits = [_wait(lines, wish, now) for wish in wishes]
            moved = [(limit, line.next_turn) for limit, line in lines.items()]
            await connection.execute(_MOVE, _LINES.parameters(moved))
        return waits

    async def give_back(self, limit: str, pace: Pace, units: int) -> None:
        """Return units that a call did not use after all."""
        async with statement(self._engine) as connection:
            await connection.execute(
                _GIVE_BACK, {"rate_limit": limit, "unused": pace.interval * units}
            )

    async def _lock(
        self, connection: AsyncConnection, limits: Sequence[str]
    ) -> Mapping[str, datetime]:
        if not self._known.issuperset(limits):
            await connection.execute(_NEW, {"limits": list(limits)})
        rows = (await connection.execute(_LOCK, {"limits": list(limits)})).mappings().all()
        self._known.update(limits)
        return {row["rate_limit"]: row["next_turn"] for row in rows}


def _wait(lines: Mapping[str, TurnLine], wish: TurnWish, now: datetime) -> timedelta | None:
    """Take the wish's turn in every line, or in none."""
    wanted = [(lines[limit], units) for limit, units in wish.units.items()]
    if not all(line.has_turn(now) for line, _ in wanted):
        for line, _ in wanted:
            line.is_exhausted = True
        return None
    return max((line.take(units, now) for line, units in wanted), default=now) - now
