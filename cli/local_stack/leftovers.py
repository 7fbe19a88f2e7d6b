"""Ends what an interrupted run of the same home left behind, and keeps two runs out of one home.

The record is written before a stack is used and after every restart, so it names every child.
"""

import fcntl
import json
import os
import signal
import time
from pathlib import Path
from typing import IO

from cli.local_stack.atomic_file import write_private
from cli.local_stack.process_identity import ProcessIdentity
from cli.local_stack.waiting import wait_until

_GRACE_SECONDS = 5.0


class HomeInUseError(Exception):
    """Another stack runs in this home."""


def lock_home(home: Path) -> IO[str]:
    """Hold the home until the returned file is closed or this process dies.

    Raises:
        HomeInUseError: A running stack holds it.
    """
    holder = (home / "lock").open("a+", encoding="utf-8")
    try:
        fcntl.flock(holder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder.seek(0)
        owner = holder.read().strip() or "unknown"
        holder.close()
        raise HomeInUseError(
            f"a stack already runs in {home} (process {owner}): stop it or pass --home"
        ) from None
    holder.truncate(0)
    holder.write(str(os.getpid()))
    holder.flush()
    return holder


def record(home: Path, processes: list[ProcessIdentity]) -> None:
    """Remember which processes belong to this home."""
    listed = [{"name": one.name, "pid": one.pid, "started": one.started} for one in processes]
    write_private(_file(home), json.dumps(listed))


async def end_leftovers(home: Path) -> list[str]:
    """End every recorded process that still runs, and return their names."""
    alive = [one for one in _recorded(home) if one.is_alive()]
    deadline = time.monotonic() + _GRACE_SECONDS
    for one in alive:
        one.signal_group(signal.SIGTERM)
    await wait_until(lambda: not any(one.is_alive() for one in alive), deadline)
    for one in alive:
        one.signal_group(signal.SIGKILL)
    await wait_until(lambda: not any(one.is_alive() for one in alive), time.monotonic() + 5)
    _file(home).unlink(missing_ok=True)
    return [one.name for one in alive]


def _file(home: Path) -> Path:
    return home / "processes.json"


def _recorded(home: Path) -> list[ProcessIdentity]:
    try:
        listed: list[dict[str, str]] = json.loads(_file(home).read_text("utf-8"))
    except (OSError, ValueError):
        return []
    return [ProcessIdentity(one["name"], int(one["pid"]), one["started"]) for one in listed]
