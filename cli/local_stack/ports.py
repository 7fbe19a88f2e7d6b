"""Picks free ports on the loopback interface, so that several stacks run side by side.

Invariant: no port is handed out twice, by this process or by another one that picks here, although
it may take a server seconds to bind its port: a process holds a block of ports for as long as it
lives. All lie below those that Linux (32768 and up) and macOS (49152 and up) give to outgoing
connections: one of these must not take a port before its server does, nor, while something waits
for the server, be connected to itself.
"""

import atexit
import secrets
import socket
from collections.abc import Iterator
from functools import cache
from itertools import cycle, islice

LOOPBACK = "127.0.0.1"
_FIRST, _BLOCKS, _BLOCK_SIZE = 20_000, 42, 300


def free_ports(count: int) -> list[int]:
    """Return `count` different ports that nothing listens on.

    Raises:
        OSError: Other processes hold every block.
    """
    return list(islice(_own_block(), count))


def is_listening(port: int) -> bool:
    """Tell whether something accepts connections on this port."""
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex((LOOPBACK, port)) == 0


@cache
def _own_block() -> Iterator[int]:
    start = secrets.randbelow(_BLOCKS)
    for number in range(start, start + _BLOCKS):
        first = _FIRST + number % _BLOCKS * _BLOCK_SIZE
        if holder := _bound(first):
            atexit.register(holder.close)
            return _free_ports_behind(holder)
    raise OSError(f"no free ports between {_FIRST} and {_FIRST + _BLOCKS * _BLOCK_SIZE}")


def _free_ports_behind(holder: socket.socket) -> Iterator[int]:
    """Yield the free ports of the block whose first port `holder` keeps from other processes."""
    first: int = holder.getsockname()[1]
    for port in cycle(range(first + 1, first + _BLOCK_SIZE)):
        if probe := _bound(port):
            probe.close()
            yield port


def _bound(port: int) -> socket.socket | None:
    """Return a socket on this port, or None when something else is there."""
    found = socket.socket()
    try:
        found.bind((LOOPBACK, port))
    except OSError:
        found.close()
        return None
    return found
