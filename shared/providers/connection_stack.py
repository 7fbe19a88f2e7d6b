"""HTTP connections, of which a request takes the one that was used last.

httpx's own pool asks every idle connection whether it is still alive, with a system call each, on
every request: with fifty connections a third of what a call costs (measured 2026-11).

Invariant: a connection serves one request at a time, and comes back when its response is closed.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack

import httpx

_IDLE_SECONDS = 60.0
"""When an unused connection is closed, at the next return of another."""


class ConnectionStack(httpx.AsyncBaseTransport):
    """A transport over transports that hold one connection each; makes them as needed."""

    def __init__(self, make: Callable[[], httpx.AsyncBaseTransport]) -> None:
        self._make = make
        self._idle: deque[tuple[float, httpx.AsyncBaseTransport]] = deque()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request; its connection is free again when the response has been closed."""
        transport = self._idle.pop()[1] if self._idle else self._make()
        async with AsyncExitStack() as unless_answered:
            unless_answered.push_async_callback(transport.aclose)
            response = await transport.handle_async_request(request)
            if not isinstance(response.stream, httpx.AsyncByteStream):
                raise TypeError("a response over the network is read asynchronously")
            unless_answered.pop_all()
        response.stream = _Borrowed(response.stream, lambda: self._give_back(transport))
        return response

    async def aclose(self) -> None:
        """Close every idle connection."""
        while self._idle:
            await self._idle.pop()[1].aclose()

    async def _give_back(self, transport: httpx.AsyncBaseTransport) -> None:
        now = asyncio.get_running_loop().time()
        self._idle.append((now, transport))
        if now - self._idle[0][0] > _IDLE_SECONDS:
            await self._idle.popleft()[1].aclose()


class _Borrowed(httpx.AsyncByteStream):
    """A response's bytes, which gives the connection back once nobody wants more of them."""

    def __init__(
        self, stream: httpx.AsyncByteStream, give_back: Callable[[], Coroutine[None, None, None]]
    ) -> None:
        self._stream = stream
        self._give_back = give_back
        self._is_closed = False

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._stream.__aiter__()

    async def aclose(self) -> None:
        """Close the response; closing it again does nothing."""
        if self._is_closed:
            return
        self._is_closed = True
        try:
            await self._stream.aclose()
        finally:
            await self._give_back()
