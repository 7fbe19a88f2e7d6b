"""Starts and stops child processes that never outlive the stack.

Each child leads its own session, so that Ctrl-C reaches only the supervisor, which then stops
the children in order. On Linux the kernel signals a child when its parent is killed; elsewhere
the next start of the same home ends what was left (see `leftovers`).
"""

import asyncio
import ctypes
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from cli.local_stack.process_identity import ProcessIdentity, identify

_POLL_SECONDS = 0.05
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True, slots=True)
class Account:
    """The unprivileged user that a child runs as when we are root."""

    user_id: int
    group_id: int


@dataclass(frozen=True, slots=True)
class ProcessSpec:
    """What to run; secrets belong in `environment`, never in `arguments`.

    Attributes:
        environment: The child's whole environment.
        stop_signal: What ends it cleanly; SIGKILL also ends what it started.
        orphan_signal: What the kernel sends it when the supervisor is killed.
    """

    name: str
    arguments: tuple[str, ...]
    environment: Mapping[str, str] = field(repr=False)
    log_file: Path
    stop_signal: signal.Signals = signal.SIGTERM
    orphan_signal: signal.Signals = signal.SIGKILL
    account: Account | None = None
    directory: Path | None = None


class _Running(Protocol):
    """What a child is to its parent; `subprocess.Popen` is one."""

    @property
    def pid(self) -> int: ...

    def poll(self) -> int | None: ...

    def send_signal(self, sig: int) -> None: ...


class AdoptedProcess:
    """A child of ours that another process forked."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._status: int | None = None

    @property
    def pid(self) -> int:
        """Return its process number."""
        return self._pid

    def poll(self) -> int | None:
        """Return its exit status, below 0 for a signal, or None while it runs."""
        if self._status is None:
            ended, status = os.waitpid(self._pid, os.WNOHANG)
            if ended:
                self._status = os.waitstatus_to_exitcode(status)
        return self._status

    def send_signal(self, sig: int) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self._pid, sig)


class ChildProcess:
    """One running child.

    Args:
        spec: What runs, and what a restart runs.
        running: The child when it runs already; without it, it is started.
    """

    def __init__(self, spec: ProcessSpec, running: _Running | None = None) -> None:
        self.spec = spec
        self._running: _Running = running or _open(spec)
        self.identity: ProcessIdentity = identify(spec.name, self._running.pid)

    @property
    def pid(self) -> int:
        """Return its process number."""
        return self._running.pid

    def exit_status(self) -> int | None:
        """Return how it ended, or None while it runs."""
        return self._running.poll()

    def respawn(self) -> None:
        """Start it again after it has ended.

        Raises:
            OSError: The program is missing or may not be run.
        """
        self._running = _open(self.spec)
        self.identity = identify(self.spec.name, self._running.pid)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal, unless it has ended."""
        if self.exit_status() is None:
            self._running.send_signal(number)

    def kill(self) -> None:
        """End it and everything in its session at once."""
        if self.exit_status() is None:
            os.killpg(self.pid, signal.SIGKILL)

    async def ended(self) -> None:
        """Wait for the end, however long it takes."""
        await self.ended_within(math.inf)

    async def ended_within(self, seconds: float) -> bool:
        """Wait for the end; False when it still runs after `seconds`."""
        deadline = time.monotonic() + seconds
        while self.exit_status() is None:
            if time.monotonic() > deadline:
                return False
            await asyncio.sleep(_POLL_SECONDS)
        return True

    async def stop(self, seconds: float) -> None:
        """Ask it to end, and kill it when it has not after `seconds`."""
        if self.spec.stop_signal is signal.SIGKILL:
            self.kill()
        self.signal(self.spec.stop_signal)
        if not await self.ended_within(seconds):
            self.kill()
            await self.ended_within(5)


def spawn(spec: ProcessSpec) -> ChildProcess:
    """Start a child from the main thread; its output is appended to its log file.

    Raises:
        OSError: The program is missing or may not be run.
    """
    return ChildProcess(spec)


def _open(spec: ProcessSpec) -> "subprocess.Popen[bytes]":
    spec.log_file.parent.mkdir(parents=True, exist_ok=True)
    account = spec.account
    with spec.log_file.open("ab") as log:
        return subprocess.Popen(
            spec.arguments,
            env=dict(spec.environment),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            cwd=spec.directory,
            user=account.user_id if account else None,
            group=account.group_id if account else None,
            extra_groups=[] if account else None,
            preexec_fn=orphan_guard(spec.orphan_signal),  # noqa: PLW1509 - one system call, no locks
        )


def orphan_guard(number: signal.Signals = signal.SIGKILL) -> Callable[[], None] | None:
    """Return what a new child runs first, so that the kernel signals it at our death."""
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None)
    parent = os.getpid()

    def guard() -> None:
        _die_with(libc, parent, number)

    return guard


def die_with(parent: int, number: signal.Signals) -> None:
    """Let the kernel signal this process when its parent dies, which may have happened by now."""
    _die_with(ctypes.CDLL(None), parent, number)


def _die_with(libc: ctypes.CDLL, parent: int, number: signal.Signals) -> None:
    libc.prctl(_PR_SET_PDEATHSIG, int(number))
    if os.getppid() != parent:  # killed between fork and prctl(2)
        os._exit(1)
