"""A TCP proxy that goes away or goes silent when a test says so; no server has to be restarted."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit, urlunsplit


class Proxy:
    """Stands before one server, on a port of its own that it keeps through outages."""

    def __init__(self, url: str) -> None:
        self._parts = urlsplit(url)
        self._server: asyncio.Server | None = None
        self._port = 0
        self._writers: set[asyncio.StreamWriter] = set()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._answering = asyncio.Event()
        self._answering.set()

    @property
    def url(self) -> str:
        """The server's URL with the proxy's address."""
        credentials = self._parts.netloc.rpartition("@")[0]
        return urlunsplit(self._parts._replace(netloc=f"{credentials}@127.0.0.1:{self._port}"))

    async def open(self) -> None:
        """Accept connections, again on the same port."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self._port)
        self._port = self._server.sockets[0].getsockname()[1]

    async def cut(self) -> None:
        """Drop every connection and refuse new ones."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in [*self._writers]:
            writer.transport.abort()
        self.flow()

    def stall(self) -> None:
        """Keep connections and pass nothing on, as under a memory alarm."""
        self._flowing.clear()

    def hold_answers(self) -> None:
        """Pass on what clients say, and nothing of what the server says: no confirm arrives."""
        self._answering.clear()

    def flow(self) -> None:
        """Pass on what was held and what follows."""
        self._flowing.set()
        self._answering.set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        host, port = self._parts.hostname, self._parts.port
        upstream_reader, upstream_writer = await asyncio.open_connection(host, port)
        await asyncio.gather(
            self._pass_on(reader, upstream_writer, self._flowing),
            self._pass_on(upstream_reader, writer, self._flowing, self._answering),
        )

    async def _pass_on(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *gates: asyncio.Event
    ) -> None:
        self._writers.add(writer)
        with suppress(OSError):
            while chunk := await reader.read(65536):
                for gate in gates:
                    await gate.wait()
                writer.write(chunk)
                await writer.drain()
        self._writers.discard(writer)
        writer.close()


@asynccontextmanager
async def proxy_to(url: str) -> AsyncGenerator[Proxy]:
    """Stand before the server of a URL for one test."""
    proxy = Proxy(url)
    await proxy.open()
    try:
        yield proxy
    finally:
        await proxy.cut()
