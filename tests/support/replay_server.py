"""An HTTP server that answers byte for byte what a test recorded."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import orjson


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer; each chunk is a write of its own.

    Attributes:
        hangs: Keep the connection open after the last chunk.
        length: A content length that may promise more than is sent.
    """

    chunks: Sequence[bytes] = ()
    status: int = 200
    content_type: str = "application/json"
    headers: Sequence[tuple[str, str]] = ()
    hangs: bool = False
    length: int | None = None

    def head(self) -> bytes:
        """Return the status line and the headers."""
        pairs = [("content-type", self.content_type), ("connection", "close"), *self.headers]
        if self.length is not None:
            pairs.append(("content-length", str(self.length)))
        lines = "".join(f"{name}: {value}\r\n" for name, value in pairs)
        return f"HTTP/1.1 {self.status} Reply\r\n{lines}\r\n".encode()


def json_reply(value: object, status: int = 200, **headers: str) -> Reply:
    """Return a JSON answer; an underscore in a header's name stands for a dash."""
    pairs = [(name.replace("_", "-"), text) for name, text in headers.items()]
    return Reply((orjson.dumps(value),), status, headers=pairs)


def stream_reply(*chunks: bytes, hangs: bool = False) -> Reply:
    """Return a stream of server-sent events."""
    return Reply(chunks, content_type="text/event-stream", hangs=hangs)


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked."""

    path: str
    headers: dict[str, str]
    body: bytes


@dataclass(slots=True)
class ReplayServer:
    """Gives its replies in order, the last one again and again.

    Attributes:
        connections_open: How many clients are connected.
    """

    replies: list[Reply] = field(default_factory=list[Reply])
    requests: list[Request] = field(default_factory=list[Request])
    connections_open: int = 0
    port: int = 0

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one connection."""
        self.connections_open += 1
        try:
            await self._answer(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self.connections_open -= 1
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        pairs = (line.partition(": ") for line in head[1:] if line)
        headers = {name.lower(): value for name, _, value in pairs}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        self.requests.append(Request(head[0].split(" ")[1], headers, body))
        reply = self.replies[min(len(self.requests), len(self.replies)) - 1]
        writer.write(reply.head())
        for chunk in reply.chunks:
            writer.write(chunk)
            await writer.drain()
            await asyncio.sleep(0)
        if reply.hangs:
            await reader.read()


@asynccontextmanager
async def replay_server() -> AsyncGenerator[ReplayServer]:
    """Serve for one test."""
    replaying = ReplayServer()
    server = await asyncio.start_server(replaying.serve, "127.0.0.1", 0)
    replaying.port = server.sockets[0].getsockname()[1]
    try:
        yield replaying
    finally:
        server.close()
