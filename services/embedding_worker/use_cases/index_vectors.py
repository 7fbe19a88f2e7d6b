"""Moves new vectors into the search graph, mostly while nothing else is to do."""

from collections.abc import Callable

from shared.ports.embeddings import VectorIndex

WHEN_IDLE = 200
WHEN_BUSY = 20
"""Vectors a round: some even under load, or searches would have to read ever more of them."""


class IndexVectors:
    """Safe to run anywhere and any number of times: the database lets one process at it."""

    def __init__(self, index: VectorIndex, is_idle: Callable[[], bool]) -> None:
        self._index = index
        self._is_idle = is_idle

    async def __call__(self) -> None:
        """Move what waits, until nothing does or work arrives.

        Raises:
            DatabaseUnavailableError: The database is away.
        """
        while await self._index.promote(WHEN_IDLE if self._is_idle() else WHEN_BUSY):
            if not self._is_idle():
                return
