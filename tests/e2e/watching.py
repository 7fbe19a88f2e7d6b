"""A client that watches a job, over a websocket or over server-sent events."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager

import httpx
from websockets.asyncio.client import ClientConnection, connect

from shared.messages.frames import (
    FRAME,
    TERMINAL_FRAMES,
    Frame,
    JobCompleted,
    JobDelta,
    JobFailed,
    JobReset,
)
from tests.support.stack_client import StackClient


class Watched:
    """What a client has of a job, built from its frames as any client would."""

    def __init__(self) -> None:
        self.text = ""
        self.attempt: int | None = None
        self.resets: list[JobReset] = []
        self.deltas: list[JobDelta] = []
        self.end: Frame | None = None

    def take(self, frame: Frame) -> None:
        """Add a frame; every delta must lie exactly where the text ends."""
        match frame:
            case JobReset():
                self.resets.append(frame)
                self.text, self.attempt = "", frame.attempt
            case JobDelta():
                self.attempt = self.attempt or frame.attempt
                assert (frame.attempt, frame.offset) == (self.attempt, len(self.text)), frame
                self.deltas.append(frame)
                self.text += frame.text
            case _ if isinstance(frame, TERMINAL_FRAMES):
                self.end = frame
            case _:
                pass

    @property
    def completed(self) -> JobCompleted:
        """The end, which must be a success."""
        assert isinstance(self.end, JobCompleted), self.end
        return self.end

    @property
    def failed(self) -> JobFailed:
        """The end, which must be a failure."""
        assert isinstance(self.end, JobFailed), self.end
        return self.end


class Socket:
    """A websocket on one job."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection

    async def watch(self, watched: Watched, *, until_length: int | None = None) -> Watched:
        """Take frames until the connection closes, or until the text is long enough."""
        async for message in self._connection:
            watched.take(FRAME.validate_json(message))
            if until_length is not None and len(watched.text) >= until_length:
                break
        return watched


@asynccontextmanager
async def socket_on(
    client: StackClient, job_id: str, query: str = "", *, tier: str = "paid"
) -> AsyncGenerator[Socket]:
    """Open a websocket on a job."""
    url = client.ready.api.replace("http", "ws", 1) + f"/v1/jobs/{job_id}/events{query}"
    async with connect(url, additional_headers=client.login(tier)) as connection:
        yield Socket(connection)


async def watched_by_socket(client: StackClient, job_id: str, *, tier: str = "paid") -> Watched:
    """Watch a job to its end."""
    async with socket_on(client, job_id, tier=tier) as socket:
        return await socket.watch(Watched())


async def watched_by_events(client: StackClient, job_id: str) -> Watched:
    """Watch a job to its end over server-sent events; a frame's name must be its type."""
    watched = Watched()
    url = f"{client.ready.api}/v1/jobs/{job_id}/events"
    async with client.http.stream("GET", url, headers=client.login("paid")) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream"), answer.headers
        for event in await _events(answer):
            frame = FRAME.validate_json(event["data"])
            assert event["event"] == frame.type
            watched.take(frame)
    return watched


async def _events(answer: httpx.Response) -> Sequence[dict[str, str]]:
    text = (await answer.aread()).decode()
    blocks = [block for block in text.split("\n\n") if block and not block.startswith(":")]
    return [_fields(block) for block in blocks]


def _fields(block: str) -> dict[str, str]:
    lines = [line.partition(": ") for line in block.split("\n")]
    return {name: value for name, _, value in lines}
