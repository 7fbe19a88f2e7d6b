"""A lean HTTP client, so that the load generator takes little of the machine."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

import orjson

_END_OF_HEAD = b"\r\n\r\n"
_END_OF_CHUNKS = b"\r\n0\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Target:
    """Where requests go, and as whom."""

    url: str
    key: str

    @property
    def host(self) -> str:
        """Return the host name or address."""
        return urlsplit(self.url).hostname or ""

    @property
    def port(self) -> int:
        """Return the port."""
        return urlsplit(self.url).port or 80


class Connection:
    """One keep-alive connection; requests go one after another."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def post(self, path: str, body: Mapping[str, object]) -> tuple[int, bytes]:
        """Return the status and body of an answer to a JSON request."""
        return await self._send("POST", path, orjson.dumps(body))

    async def put(self, path: str, body: Mapping[str, object]) -> tuple[int, bytes]:
        """Return the status and body of an answer to a JSON request."""
        return await self._send("PUT", path, orjson.dumps(body))

    async def get(self, path: str) -> tuple[int, bytes]:
        """Return the status and body of an answer."""
        return await self._send("GET", path, b"")

    async def last_frame(self, job_id: str) -> Mapping[str, object]:
        """Watch a job's server-sent events to their end and return the last frame."""
        reader = await self._request("GET", f"/v1/jobs/{job_id}/events", b"")
        await reader.readuntil(_END_OF_HEAD)
        answer = await reader.readuntil(_END_OF_CHUNKS)
        frame: Mapping[str, object] = orjson.loads(
            answer.rpartition(b"\ndata: ")[2].split(b"\n")[0]
        )
        return frame

    async def close(self) -> None:
        """Close the connection."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None

    async def _send(self, method: str, path: str, body: bytes) -> tuple[int, bytes]:
        reader = await self._request(method, path, body)
        head = (await reader.readuntil(_END_OF_HEAD)).lower()
        length = int(head.split(b"content-length:")[1].split(b"\r\n")[0])
        return int(head.split(b" ", 2)[1]), await reader.readexactly(length)

    async def _request(self, method: str, path: str, body: bytes) -> asyncio.StreamReader:
        if self._streams is None:
            self._streams = await asyncio.open_connection(self._target.host, self._target.port)
        reader, writer = self._streams
        writer.write(
            f"{method} {path} HTTP/1.1\r\nhost: {self._target.host}\r\n"
            f"authorization: Bearer {self._target.key}\r\ncontent-type: application/json\r\n"
            f"content-length: {len(body)}\r\n\r\n".encode()
            + body
        )
        return reader


async def in_flight(
    count: int, total: int, one: Callable[[Connection], Awaitable[None]], target: Target
) -> None:
    """Run `one` `total` times, `count` at a time, each place with a connection of its own."""
    left = iter(range(total))

    async def place() -> None:
        connection = Connection(target)
        for _ in left:
            await one(connection)
        await connection.close()

    await asyncio.gather(*(place() for _ in range(count)))
