"""A concurrency cap that can move while work runs.

Invariant: a lowered cap stops nobody who is inside; it lets nobody in until there is room.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager


class Limiter:
    """Counts who is inside and keeps them below the limit."""

    def __init__(self) -> None:
        self._limit: int | None = None
        self._in_flight = 0
        self._changed = asyncio.Event()

    @property
    def in_flight(self) -> int:
        """How many are inside."""
        return self._in_flight

    def set_limit(self, limit: int | None) -> None:
        """Set the cap; None for no cap."""
        self._limit = limit
        self._let_waiters_look()

    @asynccontextmanager
    async def slot(self) -> AsyncGenerator[None]:
        """Wait for room, be inside, leave."""
        while self._limit is not None and self._in_flight >= self._limit:
            await self._changed.wait()
        self._in_flight += 1
        try:
            yield
        finally:
            # Leaving never waits: a cancelled handler would keep its slot for ever.
            self._in_flight -= 1
            self._let_waiters_look()

    def _let_waiters_look(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
