"""Lets parked jobs go on once there is room for them."""

from shared.ports.messaging import CommittedMessages
from shared.ports.work import ParkedCommands


class ReleaseParked:
    """Safe to run anywhere at any time: the database decides who may go."""

    def __init__(self, parked: ParkedCommands, committed: CommittedMessages) -> None:
        self._parked = parked
        self._committed = committed

    async def __call__(self) -> None:
        """Release what there is room for, and publish it.

        Raises:
            DatabaseUnavailableError: Try again later.
        """
        rows = await self._parked.release()
        if rows:
            await self._committed.flush(rows)
