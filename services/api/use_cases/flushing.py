"""Publishes what was just committed, without holding up the answer to the client.

Invariant: rows of concurrent requests leave together, and whatever gathered while the last batch
was under way goes next. Rows that do not fit, or whose publish fails, are still in the outbox.
"""

import asyncio
from collections.abc import Sequence

from shared.domain.outgoing import OutboxRow
from shared.ports.messaging import CommittedMessages

_MOST_WAITING = 20_000


class GatheredFlush:
    """Hands rows to the relay in the background; use it from one event loop."""

    def __init__(self, relay: CommittedMessages) -> None:
        self._relay = relay
        self._waiting: list[OutboxRow] = []
        self._work: asyncio.Task[None] | None = None

    def add(self, rows: Sequence[OutboxRow]) -> None:
        """Let the rows leave soon; returns at once."""
        if len(self._waiting) < _MOST_WAITING:
            self._waiting.extend(rows)
        if self._work is None or self._work.done():
            self._work = asyncio.create_task(self._publish(), name="flush")

    async def drain(self) -> None:
        """Return when everything that was added has been tried."""
        if self._work is not None:
            await self._work

    async def _publish(self) -> None:
        while self._waiting:
            rows, self._waiting = self._waiting, []
            await self._relay.flush(rows)
