"""Loads the modules of several services once, then forks one process for each that is ordered.

`python -m cli.local_stack.launch_together MODULE...` reads one line of orders (see `loader`),
answers with process numbers, and ends; each child waits for one byte more, and ends without it.

Invariant: nothing but the main thread runs at the fork; a lock that another one holds would stay
locked in every child.
"""

import gc
import importlib
import json
import os
import signal
import sys
import threading
from typing import NoReturn, TypedDict

from cli.local_stack.launch import MODULE
from cli.local_stack.process_title import show_as
from cli.local_stack.processes import die_with


class Order(TypedDict):
    """One process to start: what `python -m cli.local_stack.launch` would be started with."""

    arguments: list[str]
    environment: dict[str, str]
    log_file: str
    parent: int


def main() -> None:
    """Load the modules that the command line names, and start what is ordered."""
    answer = os.dup(1)
    os.dup2(2, 1)  # what a module prints belongs in the log
    gc.disable()
    for name in sys.argv[1:]:
        importlib.import_module(name)
    gc.freeze()
    sys.stdout.flush()
    if threading.active_count() != 1:
        sys.exit("a module that was loaded has started a thread: the services cannot be forked")
    orders: list[Order] = json.loads(_line() or "[]")
    numbers: list[int] = []
    for order in orders:
        number = os.fork()
        if number == 0:
            os.close(answer)
            _become(order)
        numbers.append(number)
    os.write(answer, " ".join(map(str, numbers)).encode())


def _line() -> bytes:
    """Return a line of the standard input, and leave what follows it there."""
    line = bytearray()
    while (byte := os.read(0, 1)) not in {b"", b"\n"}:
        line += byte
    return bytes(line)


def _become(order: Order) -> NoReturn:
    """Be the process that is ordered, from its session to its exit status."""
    os.setsid()
    log = os.open(order["log_file"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)
    if not os.read(0, 1):
        os._exit(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    die_with(order["parent"], signal.SIGKILL)
    os.environ.clear()  # noqa: TID251 - it becomes another process's, as a whole
    os.environ.update(order["environment"])  # noqa: TID251 - as above
    show_as(order["arguments"])
    sys.argv = order["arguments"][order["arguments"].index(MODULE) :]
    gc.enable()
    sys.exit(importlib.import_module(sys.argv.pop(1)).main())


if __name__ == "__main__":
    main()
