"""Starts the services of a stack together: one process loads their modules, and becomes them all.

Loading takes most of a service's start, and is nearly the same for all of them. The loader does it
once, forks and ends. Its children are then ours: watched, ended and restarted as if each had been
started by itself. Only Linux hands children on in this way; elsewhere, and when the loader fails,
every service is started by itself.

Invariant: no service runs that is not in our list.
"""

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

from cli.local_stack.loader import Loader
from cli.local_stack.processes import AdoptedProcess, ChildProcess, ProcessSpec, spawn


class SharedStart:
    """The start of several services; `begin` early, `finish` it when they may run.

    Args:
        modules: Those that any of the services may be.
        log_file: For what loading says; each service has a log of its own.
    """

    def __init__(self, modules: Sequence[str], log_file: Path) -> None:
        self._modules = modules
        self._log_file = log_file
        self._loader: Loader | None = None

    def begin(self) -> None:
        """Start loading; call it from the main thread."""
        if sys.platform == "linux":
            self._loader = Loader(self._modules, self._log_file)

    async def finish(self, specs: Sequence[ProcessSpec]) -> list[ChildProcess]:
        """Start one process for each spec, in this order.

        Raises:
            OSError: The program is missing or may not be run.
        """
        loader = self._loader
        numbers = [] if loader is None else await asyncio.to_thread(loader.order, specs)
        if loader is None or len(numbers) != len(specs):
            return [spawn(spec) for spec in specs]
        children = [
            ChildProcess(spec, AdoptedProcess(number))
            for spec, number in zip(specs, numbers, strict=True)
        ]
        loader.release(len(children))
        return children

    def end(self) -> None:
        """Give up what has not been finished; safe to repeat."""
        if self._loader is not None:
            self._loader.end()
