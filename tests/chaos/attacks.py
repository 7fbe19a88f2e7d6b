"""Signals to a stack's processes, and the proof that the supervisor brought them back."""

import os
import signal

from tests.support.stacks import RunningStack
from tests.support.waiting import wait_until

_RESTART_SECONDS = 40.0


async def strike(stack: RunningStack, name: str, number: signal.Signals = signal.SIGKILL) -> None:
    """Signal a process and wait until the supervisor has started it again."""
    struck = stack.pids()[name]
    os.kill(struck, number)
    await wait_until(lambda: stack.pids().get(name, struck) != struck, _RESTART_SECONDS)
