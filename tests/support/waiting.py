"""Waits for conditions with a deadline, so that no test sleeps for a guessed time."""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable

_POLL_SECONDS = 0.02


async def wait_until(
    condition: Callable[[], bool | Awaitable[bool]],
    deadline_seconds: float = 10.0,
    *,
    poll_seconds: float = _POLL_SECONDS,
) -> None:
    """Wait until a plain or async condition holds, asking every `poll_seconds`.

    Raises:
        TimeoutError: It did not hold within `deadline_seconds`.
    """
    deadline = time.monotonic() + deadline_seconds
    while not await _holds(condition):
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {deadline_seconds} s: {inspect.getsource(condition)}")
        await asyncio.sleep(poll_seconds)


async def _holds(condition: Callable[[], bool | Awaitable[bool]]) -> bool:
    answer = condition()
    return answer if isinstance(answer, bool) else await answer
