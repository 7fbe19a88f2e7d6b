"""An action that runs in rounds until the process stops."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta

import structlog

from shared.domain.errors import TransientError
from shared.messaging.ticking import Ticker, start_rounds

_log = structlog.stdlib.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Refresh:
    """What a process remembers of the database: read again at each hint and about every period.

    Attributes:
        action: Safe to run again; a transient failure leaves what is remembered as it is.
        period: With its spread, what has changed is known within 2 s even if the hint is lost.
    """

    name: str
    action: Callable[[], Awaitable[object]]
    period: timedelta = timedelta(seconds=1.5)


class Rounds:
    """Runs `action` about every `period`; a transient failure is logged and the next round tries.

    Args:
        name: Names the loop in logs and spreads its rounds in time.
        period: Between two rounds.
        action: Safe to run again.
    """

    def __init__(
        self, name: str, period: timedelta, action: Callable[[], Awaitable[object]]
    ) -> None:
        self._name = name
        self._ticker = Ticker(period, name)
        self._action = action
        self._draining = False
        self._loop: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin."""
        self._loop = start_rounds(self._run(), self._name)

    @property
    def is_alive(self) -> bool:
        """Whether the loop runs; a process without it must be restarted."""
        return self._loop is not None and not self._loop.done()

    def wake(self) -> None:
        """Begin the next round now."""
        self._ticker.wake()

    async def drain(self) -> None:
        """End after the round that is running."""
        self._draining = True
        self._ticker.wake()
        if self._loop is not None:
            await self._loop

    async def _run(self) -> None:
        while True:
            await self._ticker.tick()
            if self._draining:
                return
            try:
                await self._action()
            except TransientError as error:
                _log.warning("round.failed", loop=self._name, error=str(error))
