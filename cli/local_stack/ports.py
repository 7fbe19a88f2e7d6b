"""Picks free ports on the loopback interface, so that several stacks run side by side.

They lie below those that Linux (32768 and up) and macOS (49152 and up) give to outgoing
connections: one of these must not take a port before its server does, nor, while something waits
for the server, be connected to itself.
"""

import secrets
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import islice

LOOPBACK = "127.0.0.1"
_FIRST, _LAST = 20_000, 32_767


def free_ports(count: int) -> list[int]:
    """Return `count` different ports that nothing listened on a moment ago."""
    with ExitStack() as held:
        return list(islice(_taken_ports(held), count))


def is_listening(port: int) -> bool:
    """Tell whether something accepts connections on this port."""
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex((LOOPBACK, port)) == 0


def _taken_ports(held: ExitStack) -> Iterator[int]:
    """Yield ports that were free and are bound until `held` ends, so that none comes twice."""
    while True:
        port = _FIRST + secrets.randbelow(_LAST - _FIRST + 1)
        one = held.enter_context(socket.socket())
        try:
            one.bind((LOOPBACK, port))
        except OSError:
            continue
        yield port
