"""The connection below a request, for faults that HTTP cannot express.

Invariant: whoever waits for the answer sees a reset, not an orderly end.
"""

import asyncio
import socket
import struct
from collections.abc import MutableMapping
from functools import partial

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from simulator.json_values import is_object

Scope = MutableMapping[str, object]

_RESET = "reset"
_NO_LINGERING = struct.pack("ii", 1, 0)


class Protocol(HttpToolsProtocol):
    """uvicorn's protocol, which hands each request a way to reset its connection."""

    def connection_made(  # type: ignore[override] # narrower, as uvicorn's own is
        self, transport: asyncio.Transport
    ) -> None:
        """Take up a connection."""
        super().connection_made(transport)
        self.app_state = self.app_state | {_RESET: partial(_reset, transport)}


def reset_connection(scope: Scope) -> None:
    """Close a request's connection at once; what was not sent is lost.

    Raises:
        TypeError: the server is not the one that `main` configures.
    """
    state = scope.get("state")
    reset = state.get(_RESET) if is_object(state) else None
    if not callable(reset):
        raise TypeError("the server gives no way to reset a connection")
    reset()


def _reset(transport: asyncio.Transport) -> None:
    # A socket that does not linger sends a reset instead of an end.
    connection: socket.socket = transport.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGERING)
    transport.abort()
