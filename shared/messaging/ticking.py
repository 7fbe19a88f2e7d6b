"""Rounds of background work: every period or so, and at once when somebody wakes it.

Periods differ from round to round and from process to process, so that replicas don't ask the
database in step.
"""

import asyncio
from collections.abc import Coroutine
from datetime import timedelta
from zlib import crc32

import structlog

_STEPS = 1 << 32
_log = structlog.stdlib.get_logger(__name__)


class Ticker:
    """Lets one loop wait for its next round."""

    def __init__(self, period: timedelta, seed: str) -> None:
        """Spread rounds over 0.75 to 1.25 periods, in a sequence that the seed alone decides."""
        self._period_seconds = period.total_seconds()
        self._seed = seed
        self._round = 0
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """Begin the next round now; if one is running, another follows it."""
        self._woken.set()

    async def tick(self) -> None:
        """Return when the next round is due."""
        self._round += 1
        spread = 0.75 + crc32(f"{self._seed}:{self._round}".encode()) / _STEPS / 2
        try:
            async with asyncio.timeout(self._period_seconds * spread):
                await self._woken.wait()
        except TimeoutError:
            return
        finally:
            self._woken.clear()


def start_rounds(rounds: Coroutine[None, None, None], name: str) -> asyncio.Task[None]:
    """Run a loop of rounds beside everything else, and say so when a bug ends it."""
    loop = asyncio.create_task(rounds, name=name)
    loop.add_done_callback(_report_death)
    return loop


def _report_death(loop: asyncio.Task[None]) -> None:
    error = None if loop.cancelled() else loop.exception()
    if error is not None:
        _log.critical("rounds.died", loop=loop.get_name(), error=type(error).__name__)
