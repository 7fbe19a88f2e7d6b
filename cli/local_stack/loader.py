"""The process that loads the services' modules and forks them (Linux only).

It runs `launch_together`. What it forks are our children once it has ended, since this process
adopts orphans while it waits for that.
"""

import ctypes
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from cli.local_stack.environment import inherited_environment
from cli.local_stack.launch_together import Order
from cli.local_stack.processes import ProcessSpec, orphan_guard

_PR_SET_CHILD_SUBREAPER = 36
_PROGRAM = "cli.local_stack.launch_together"
_GO = b"."


class Loader:
    """A loader at work; start it from the main thread.

    Args:
        modules: Those that any of the services may be.
        log_file: For what loading says.
    """

    def __init__(self, modules: Sequence[str], log_file: Path) -> None:
        log_file.parent.mkdir(parents=True, exist_ok=True)
        # numpy's own threads would not survive the fork.
        environment = inherited_environment() | {"OPENBLAS_NUM_THREADS": "1"}
        with log_file.open("ab") as log:
            self._process = subprocess.Popen(
                (sys.executable, "-m", _PROGRAM, *modules),
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
                preexec_fn=orphan_guard(),  # noqa: PLW1509 - one system call, no locks
            )

    @property
    def pid(self) -> int:
        """Return its process number."""
        return self._process.pid

    def order(self, specs: Sequence[ProcessSpec]) -> list[int]:
        """Wait for the fork and return the process numbers, in this order; none when it failed.

        The processes wait until they are released; without that they end when the loader is ended.
        """
        orders: list[Order] = [
            {
                "arguments": list(spec.arguments),
                "environment": dict(spec.environment),
                "log_file": str(spec.log_file),
                "parent": os.getpid(),
            }
            for spec in specs
        ]
        _adopt_orphans(yes=True)
        try:
            self._say(json.dumps(orders).encode() + b"\n")
            answer = b"" if self._process.stdout is None else self._process.stdout.read()
            self._process.wait()
        finally:
            _adopt_orphans(yes=False)
        return [int(word) for word in answer.split()]

    def release(self, count: int) -> None:
        """Let as many processes run."""
        self._say(_GO * count)

    def end(self) -> None:
        """End the loader and whatever waits for its release; safe to repeat."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()

    def _say(self, words: bytes) -> None:
        pipe = self._process.stdin
        try:
            if pipe is not None:
                pipe.write(words)
                pipe.flush()
        except BrokenPipeError:  # it has failed; its log says why
            return


def _adopt_orphans(*, yes: bool) -> None:
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, int(yes), 0, 0, 0)
