"""Waits for what the API will soon say, with a deadline and a name for what was missing."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from cli.demo.failure import DemoFailedError

SeenT = TypeVar("SeenT")
_POLL_SECONDS = 0.1


async def eventually(
    look: Callable[[], Awaitable[SeenT]],
    holds: Callable[[SeenT], bool],
    what: str,
    *,
    within_seconds: float = 20.0,
) -> SeenT:
    """Look until what is seen holds, and return it.

    Raises:
        DemoFailedError: It did not hold in time; the message says `what` and what was seen.
    """
    deadline = time.monotonic() + within_seconds
    while not holds(seen := await look()):
        if time.monotonic() > deadline:
            raise DemoFailedError(f"{what}: not within {within_seconds:.0f} s; last seen: {seen}")
        await asyncio.sleep(_POLL_SECONDS)
    return seen
