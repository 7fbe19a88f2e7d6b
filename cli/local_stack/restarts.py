"""Restarts a child that dies, ever more slowly while it keeps dying."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

from cli.local_stack.processes import ChildProcess


@dataclass(frozen=True, slots=True)
class BackOff:
    """How long to wait before the next restart.

    Attributes:
        steady_seconds: A child that ran this long is well again: the delay starts over.
    """

    first_seconds: float = 0.2
    longest_seconds: float = 5.0
    steady_seconds: float = 10.0


async def keep_running(
    child: ChildProcess,
    report: Callable[[str], None],
    on_restart: Callable[[], None],
    back_off: BackOff | None = None,
) -> None:
    """Restart the child whenever it ends, until cancelled."""
    delays = back_off or BackOff()
    delay = delays.first_seconds
    while True:
        began = time.monotonic()
        await child.ended()
        if time.monotonic() - began > delays.steady_seconds:
            delay = delays.first_seconds
        report(
            f"{child.spec.name} ended with status {child.exit_status()}: "
            f"restarting in {delay:.1f} s (log: {child.spec.log_file})"
        )
        await asyncio.sleep(delay)
        delay = min(delay * 2, delays.longest_seconds)
        child.respawn()
        on_restart()
