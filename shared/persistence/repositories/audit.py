"""The audit trail of gates and budgets; entries are written by the statements that change them."""

from collections.abc import Sequence

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.persistence.connections import statement
from shared.ports.gates import AuditEntry

_PAGE = text("SELECT * FROM audit_entries WHERE id > :after ORDER BY id LIMIT :limit")


class PostgresAuditTrail:
    """Implements `AuditTrail`."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def page(self, after: int, limit: int) -> Sequence[AuditEntry]:
        """Return at most `limit` entries with ids greater than `after`, oldest first."""
        async with statement(self._engine) as connection:
            rows = await connection.execute(_PAGE, {"after": after, "limit": limit})
            return [
                AuditEntry(
                    id=row["id"],
                    kind=row["kind"],
                    scope=row["scope"],
                    queue=row["queue"],
                    window=row["window"],
                    from_state=row["from_state"],
                    to_state=row["to_state"],
                    actor=row["actor"],
                    by=row["by"],
                    reason=row["reason"],
                    changed_at=row["changed_at"],
                )
                for row in rows.mappings()
            ]
