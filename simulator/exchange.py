"""One HTTP request and its answer, on plain ASGI: a framework would cost more than the work.

Invariant: the request's body is read before anything is answered, so that whatever arrives
afterwards can only be the news that the client left.
"""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from typing import TypeGuard
from urllib.parse import parse_qsl

import orjson

from simulator.connection import Scope, reset_connection

Message = MutableMapping[str, object]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

JSON = b"application/json"
_EVENTS = b"text/event-stream; charset=utf-8"


@dataclass(slots=True)
class Exchange:
    """A request that was read, and the way to answer it."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[bytes, bytes]
    body: bytes
    scope: Scope
    receive: Receive
    send: Send
    answer_headers: Headers = field(default_factory=list[tuple[bytes, bytes]])

    @property
    def bearer(self) -> str:
        """The bearer token, blank when there is none."""
        scheme, _, token = self.headers.get(b"authorization", b"").decode("latin-1").partition(" ")
        return token.strip() if scheme.lower() == "bearer" else ""

    async def answer_json(self, status: int, value: object) -> None:
        """Answer with a JSON body."""
        await self.answer(status, orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY))

    async def answer(self, status: int, body: bytes, content_type: bytes = JSON) -> None:
        """Answer with a whole body."""
        length = (b"content-length", str(len(body)).encode())
        await self._start(status, content_type, [length])
        await self.send({"type": "http.response.body", "body": body})

    async def start_events(self) -> None:
        """Begin a stream of server-sent events."""
        await self._start(200, _EVENTS, [(b"cache-control", b"no-cache")])

    async def write(self, events: bytes) -> None:
        """Send events; more follow."""
        await self.send({"type": "http.response.body", "body": events, "more_body": True})

    async def finish(self, events: bytes = b"") -> None:
        """Send the last events and end the stream."""
        await self.send({"type": "http.response.body", "body": events})

    async def reset(self) -> None:
        """Reset the connection without an answer."""
        reset_connection(self.scope)
        await self.client_left(None)

    async def client_left(self, within_seconds: float | None) -> bool:
        """Wait, and tell whether the client left meanwhile; None waits until it does."""
        try:
            async with asyncio.timeout(within_seconds):
                await _until_disconnect(self.receive)
        except TimeoutError:
            return False
        return True

    async def _start(self, status: int, content_type: bytes, more: Headers) -> None:
        headers = [(b"content-type", content_type), *more, *self.answer_headers]
        await self.send({"type": "http.response.start", "status": status, "headers": headers})


async def read_exchange(scope: Scope, receive: Receive, send: Send) -> Exchange:
    """Read a request with its whole body."""
    query, headers = scope["query_string"], scope["headers"]
    return Exchange(
        method=str(scope["method"]),
        path=str(scope["path"]),
        query=dict(parse_qsl(query.decode("latin-1")))
        if isinstance(query, bytes) and query
        else {},
        headers=dict(headers) if _is_headers(headers) else {},
        body=await _read_body(receive),
        scope=scope,
        receive=receive,
        send=send,
    )


async def _read_body(receive: Receive) -> bytes:
    parts: list[bytes] = []
    while True:
        message = await receive()
        part = message.get("body", b"")
        if isinstance(part, bytes):
            parts.append(part)
        if not message.get("more_body", False):
            return parts[0] if len(parts) == 1 else b"".join(parts)


async def _until_disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _is_headers(raw: object) -> TypeGuard[Headers]:
    return isinstance(raw, list)
