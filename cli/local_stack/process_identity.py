"""Tells one of our processes from a stranger that got its number later.

A process number is reused; number and start time together are not, so nothing is ever
signalled on the number alone.
"""

import os
import signal
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class ProcessIdentity:
    """One process that we started, as recorded on disk."""

    name: str
    pid: int
    started: str

    def is_alive(self) -> bool:
        """Tell whether that very process still runs."""
        return start_mark(self.pid) == self.started != ""

    def signal_group(self, number: signal.Signals) -> None:
        """Signal the process and what it started, unless it is gone."""
        if self.is_alive():
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, number)


def identify(name: str, pid: int) -> ProcessIdentity:
    """Return the identity of a process that runs now."""
    return ProcessIdentity(name=name, pid=pid, started=start_mark(pid))


def start_mark(pid: int) -> str:
    """Return when the process started, in the system's own words; "" when none runs."""
    if Path("/proc/self/stat").exists():
        return _mark_from_proc(pid)
    listed = subprocess.run(
        ["ps", "-o", "lstart=", "-p", str(pid)],
        capture_output=True,
        text=True,
        check=False,
    )
    return listed.stdout.strip()


def _mark_from_proc(pid: int) -> str:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()
    except OSError:
        return ""
    state, started = fields[0], fields[19]
    return "" if state == "Z" else started
