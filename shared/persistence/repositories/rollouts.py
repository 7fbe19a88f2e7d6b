"""Rollouts; each change writes its audit entry in the same statement."""

from collections.abc import Sequence

from sqlalchemy import RowMapping, text
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.domain.rollout import Rollout
from shared.persistence.connections import statement
from shared.ports.rollouts import RolloutChange

_ALL = text("SELECT * FROM rollouts ORDER BY name")
_GET = text("SELECT * FROM rollouts WHERE name = :name")
_BEGIN = text("""
    WITH begun AS (
        INSERT INTO rollouts (name, percent, changed_at, changed_by, reason)
        VALUES (:name, trim_scale(CAST(:percent AS numeric)), now(), :by, :reason)
        ON CONFLICT (name) DO NOTHING
        RETURNING *
    )
    INSERT INTO audit_entries (kind, scope, to_state, actor, by, reason, changed_at)
    SELECT 'rollout', name, CAST(percent AS text), 'setting', changed_by, reason, changed_at
    FROM begun
""")
_CHANGE = text("""
    WITH before AS MATERIALIZED (SELECT * FROM rollouts WHERE name = :name FOR UPDATE),
    changed AS (
        UPDATE rollouts r SET percent = trim_scale(CAST(:percent AS numeric)),
            generation = r.generation + 1, changed_at = clock_timestamp(), changed_by = :by,
            reason = :reason
        FROM before b WHERE r.name = b.name AND b.percent <> CAST(:percent AS numeric)
        RETURNING r.*, b.percent AS from_percent
    ),
    audited AS (
        INSERT INTO audit_entries (kind, scope, from_state, to_state, actor, by, reason, changed_at)
        SELECT 'rollout', name, CAST(from_percent AS text), CAST(percent AS text), 'person',
            changed_by, reason, changed_at
        FROM changed
    )
    SELECT name, percent, generation, changed_at, changed_by, reason FROM changed
    UNION ALL
    SELECT name, percent, generation, changed_at, changed_by, reason FROM before
    WHERE NOT EXISTS (SELECT FROM changed)
""")


class PostgresRollouts:
    """Implements `RolloutRepository`."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def all(self) -> Sequence[Rollout]:
        """Return every rollout, by name."""
        async with statement(self._engine) as connection:
            return [_rollout(row) for row in (await connection.execute(_ALL)).mappings()]

    async def get(self, name: str) -> Rollout | None:
        """Return a rollout."""
        async with statement(self._engine) as connection:
            row = (await connection.execute(_GET, {"name": name})).mappings().one_or_none()
        return None if row is None else _rollout(row)

    async def begin(self, change: RolloutChange) -> Rollout:
        """Store what a rollout begins with, and return it as it stands."""
        async with statement(self._engine) as connection:
            await connection.execute(_BEGIN, _parameters(change))
            # Read apart: one that another process begins meanwhile is not in that statement's view.
            row = (await connection.execute(_GET, {"name": change.name})).mappings().one()
        return _rollout(row)

    async def change(self, change: RolloutChange) -> Rollout | None:
        """Move a rollout, one generation on, with an audit entry."""
        async with statement(self._engine) as connection:
            rows = await connection.execute(_CHANGE, _parameters(change))
            row = rows.mappings().one_or_none()
        return None if row is None else _rollout(row)


def _parameters(change: RolloutChange) -> dict[str, object]:
    return {
        "name": change.name,
        "percent": change.percent,
        "by": change.by,
        "reason": change.reason,
    }


def _rollout(row: RowMapping) -> Rollout:
    return Rollout(
        name=row["name"],
        percent=row["percent"],
        generation=row["generation"],
        changed_at=row["changed_at"],
        changed_by=row["changed_by"],
        reason=row["reason"],
    )
