from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import httpx
import pytest
from websockets.asyncio.server import ServerConnection, serve

from cli.demo.answers import Bill
from cli.demo.client import Client
from cli.demo.failure import DemoFailedError

_DELTA = '{"type":"job.delta","job_id":"j","attempt":1,"offset":0,"text":"hi"}'
_END = '{"type":"job.cancelled","job_id":"j"}'


@asynccontextmanager
async def _client(answer: httpx.Response) -> AsyncGenerator[Client]:
    transport = httpx.MockTransport(lambda _: answer)
    async with httpx.AsyncClient(transport=transport) as http:
        yield Client(http, "http://api/", "a-key")


@asynccontextmanager
async def _watching(*frames: str) -> AsyncGenerator[Client]:
    async def say(socket: ServerConnection) -> None:
        for frame in frames:
            await socket.send(frame)

    async with serve(say, "127.0.0.1", 0) as server, httpx.AsyncClient() as http:
        port: int = next(iter(server.sockets)).getsockname()[1]
        yield Client(http, f"http://127.0.0.1:{port}", "a-key")


async def test_an_answer_is_read_into_its_shape() -> None:
    async with _client(httpx.Response(200, text='{"total_usd":"0.10","calls":2}')) as client:
        assert str((await client.get("/_bill/total", Bill)).total_usd) == "0.10"


async def test_a_refusal_fails_the_demo_with_what_was_said() -> None:
    async with _client(httpx.Response(403, text="not yours")) as client:
        with pytest.raises(DemoFailedError, match="POST /v1/x was answered 403: not yours"):
            await client.send("POST", "/v1/x", Bill, {})


async def test_a_job_is_followed_to_its_last_frame() -> None:
    async with _watching(_DELTA, _END) as client:
        assert [frame.type async for frame in client.follow("j")] == ["job.delta", "job.cancelled"]


async def test_a_websocket_that_closes_early_fails_the_demo() -> None:
    async with _watching(_DELTA) as client:
        with pytest.raises(DemoFailedError, match="closed before the job's last event"):
            _ = [frame async for frame in client.follow("j")]
