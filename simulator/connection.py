"""The connection below a request, for faults that HTTP cannot express.

Invariant: whoever waits for the answer sees a reset, not an orderly end.
"""

import asyncio
import socket
import struct
from collections.abc import MutableMapping

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from simulator.json_values import is_object

Scope = MutableMapping[str, object]

_TRANSPORT = "transport"
_LINGER_NOT = struct.pack("ii", 1, 0)


class Protocol(HttpToolsProtocol):
    """uvicorn's protocol, which hands each request the connection that it came by."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take up a connection."""
        super().connection_made(transport)
        self.app_state = self.app_state | {_TRANSPORT: transport}


def reset_connection(scope: Scope) -> None:
    """Close a request's connection at once; what was not sent is lost."""
    state = scope.get("state")
    transport = state.get(_TRANSPORT) if is_object(state) else None
    if isinstance(transport, asyncio.Transport):
        transport.get_extra_info("socket").setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT
        )
        transport.abort()
