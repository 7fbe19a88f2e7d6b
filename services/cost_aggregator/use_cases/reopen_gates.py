"""Opens gates whose time is over."""

from typing import Protocol

from shared.ports.messaging import ControlHint


class TimedGates(Protocol):
    """Gates that reopen by the clock."""

    async def reopen_due(self) -> bool:
        """Open the gates whose time is over; True when any moved."""
        ...


class ReopenGates:
    """Safe to run anywhere at any time: the database decides what is due."""

    def __init__(self, gates: TimedGates, hint: ControlHint) -> None:
        self._gates = gates
        self._hint = hint

    async def __call__(self) -> None:
        """Open what is due and tell the workers.

        Raises:
            DatabaseUnavailableError: Try again later.
        """
        if await self._gates.reopen_due():
            await self._hint.send()
