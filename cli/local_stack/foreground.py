"""Runs a stack until the first SIGTERM or Ctrl-C; the second one ends it without draining."""

import asyncio
import signal
from collections.abc import Awaitable, Callable

from cli.local_stack.plan import StackOptions
from cli.local_stack.ready_file import ReadyFile
from cli.local_stack.supervisor import Stack

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


async def run_stack(options: StackOptions, use: Callable[[ReadyFile], Awaitable[None]]) -> None:
    """Start a stack, await `use`, and end the stack, also when a signal comes first.

    Raises:
        UnusablePlanError: The stack cannot start as asked.
        HomeInUseError: Another stack runs in this home.
        ServerFailedError: A process did not become ready.
    """
    stack = Stack(options)
    working = asyncio.create_task(_start_and_use(stack, use))
    loop = asyncio.get_running_loop()
    for number in _SIGNALS:
        loop.add_signal_handler(number, _interrupt, working, stack)
    try:
        await asyncio.wait({working})
    finally:
        await stack.stop()
        for number in _SIGNALS:
            loop.remove_signal_handler(number)
    if not working.cancelled():
        working.result()


async def until_signal(_ready: ReadyFile) -> None:
    """Wait for the signal that ends the stack."""
    await asyncio.Event().wait()


async def _start_and_use(stack: Stack, use: Callable[[ReadyFile], Awaitable[None]]) -> None:
    await use(await stack.start())


def _interrupt(working: "asyncio.Task[None]", stack: Stack) -> None:
    if working.cancelling() or working.done():
        stack.kill()
    working.cancel()
