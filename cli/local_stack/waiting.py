"""Waits for a condition with a deadline: the only way this package waits."""

import asyncio
import time
from collections.abc import Callable

_POLL_SECONDS = 0.02


async def wait_until(condition: Callable[[], bool], deadline: float) -> bool:
    """Wait until `condition` holds; False when `deadline` (monotonic seconds) comes first."""
    while not condition():
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(_POLL_SECONDS)
    return True
