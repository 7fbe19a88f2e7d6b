"""The outbox: committed messages on their way to the broker."""

from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import RowMapping, text
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.domain.outgoing import OutboxRow, OutgoingMessage
from shared.persistence.connections import statement
from shared.persistence.direct import DirectConnection, HotStatement
from shared.persistence.group_commit import GroupCommit

INLINE_GRACE = timedelta(seconds=5)
"""How long the process that committed a message has to publish it before a relay may."""
_RELAY_LEASE = timedelta(seconds=10)

_DUE = text("""
    WITH due AS (
        SELECT id FROM outbox WHERE available_at <= now()
        ORDER BY available_at LIMIT :limit FOR UPDATE SKIP LOCKED
    )
    UPDATE outbox o SET available_at = now() + :lease
    FROM due WHERE o.id = due.id
    RETURNING o.id, o.message_id, o.exchange, o.routing_key, o.body, o.mandatory
""")
_DELETE = HotStatement.of("DELETE FROM outbox WHERE id = ANY(CAST(:ids AS bigint[]))")


def outbox_row(row: RowMapping) -> OutboxRow:
    """Read an outbox row as returned by a statement."""
    message = OutgoingMessage(
        message_id=row["message_id"],
        exchange=row["exchange"],
        routing_key=row["routing_key"],
        body=bytes(row["body"]),
        mandatory=row["mandatory"],
    )
    return OutboxRow(row["id"], message)


class PostgresOutbox:
    """Implements `Outbox`."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._direct = DirectConnection(engine)
        self._delete: GroupCommit[Sequence[int], None] = GroupCommit(self._delete_batch)

    async def due(self, limit: int) -> Sequence[OutboxRow]:
        """Lease at most `limit` rows whose time has come."""
        async with statement(self._engine) as connection:
            rows = await connection.execute(_DUE, {"limit": limit, "lease": _RELAY_LEASE})
            return [outbox_row(row) for row in rows.mappings()]

    async def sent(self, ids: Sequence[int]) -> None:
        """Delete rows that the broker confirmed."""
        if ids:
            await self._delete(ids)

    async def _delete_batch(self, batch: Sequence[Sequence[int]]) -> Sequence[None]:
        await self._direct.execute(_DELETE, {"ids": [one for ids in batch for one in ids]})
        return [None] * len(batch)
