"""The real process on a real broker and database."""

import asyncio
import json
import os
import signal
from collections.abc import AsyncGenerator

import aio_pika
import pytest
import pytest_asyncio
from aio_pika.abc import AbstractChannel
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from shared.domain.ids import JobId
from shared.messages.commands import CompleteChat
from shared.messages.frames import ErrorFrame, Frame, JobDelta, JobFailed, stream_key
from shared.messaging.topology import STREAM
from tests.integration.services.api.conftest import ApiProcess

pytestmark = pytest.mark.integration
CHAT = {"messages": [{"role": "user", "content": "hello"}]}


@pytest_asyncio.fixture
async def channel(amqp_url: str) -> AsyncGenerator[AbstractChannel]:
    async with await aio_pika.connect(amqp_url) as connection:
        yield await connection.channel()


def watch(api: ApiProcess, job_id: str, key: str, query: str = "") -> connect:
    url = api.url.replace("http", "ws", 1) + f"/v1/jobs/{job_id}/events{query}"
    return connect(url, additional_headers={"authorization": f"Bearer {key}"})


async def next_frame(socket: ClientConnection) -> dict[str, object]:
    async with asyncio.timeout(10):
        frame: dict[str, object] = json.loads(await socket.recv())
    return frame


async def send(channel: AbstractChannel, frame: Frame) -> None:
    exchange = await channel.get_exchange(STREAM)
    body = aio_pika.Message(frame.model_dump_json().encode())
    await exchange.publish(body, stream_key(frame.job_id), mandatory=False)


async def submit(api: ApiProcess, tier: str = "free") -> str:
    async with api.client(api.keys[tier]) as client:
        answer = await client.post("/v1/chat/jobs", json=CHAT)
    return str(answer.raise_for_status().json()["id"])


async def test_a_submitted_job_reaches_its_queue(api: ApiProcess, channel: AbstractChannel) -> None:
    job_id = await submit(api, "paid")
    queue = await channel.get_queue("chat.paid")
    async with asyncio.timeout(10), queue.iterator(no_ack=True) as messages:
        message = await anext(messages)
    assert CompleteChat.model_validate_json(message.body).job_id == job_id


async def test_live_frames_reach_the_watcher_up_to_the_end(
    api: ApiProcess, channel: AbstractChannel
) -> None:
    job_id = JobId(await submit(api))
    async with watch(api, job_id, api.keys["free"]) as socket:
        assert await next_frame(socket) == {
            "type": "job.status",
            "job_id": job_id,
            "status": "queued",
            "waiting": None,
        }
        await send(channel, JobDelta(job_id=job_id, attempt=1, offset=0, text="hé"))
        await send(channel, JobDelta(job_id=job_id, attempt=1, offset=1, text="éllo"))
        await send(channel, JobFailed(job_id=job_id, error=ErrorFrame(code="c", message="m")))
        assert [(await next_frame(socket))["text"] for _ in range(2)] == ["hé", "llo"]
        assert (await next_frame(socket))["type"] == "job.failed"
        with pytest.raises(ConnectionClosed) as closed:
            await next_frame(socket)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1000


async def test_cancelling_ends_the_watch(api: ApiProcess) -> None:
    job_id = await submit(api)
    async with watch(api, job_id, api.keys["free"]) as socket:
        await next_frame(socket)
        async with api.client(api.keys["free"]) as client:
            answer = await client.delete(f"/v1/jobs/{job_id}")
        assert answer.json()["status"] == "cancelled"
        assert (await next_frame(socket))["type"] == "job.cancelled"


async def test_a_refused_websocket_has_the_status_and_shape(api: ApiProcess) -> None:
    job_id = await submit(api)
    for path, key, status in (
        (job_id, "sk-slw-nobody", 401),
        (job_id, api.keys["paid"], 404),
        (f"{job_id}x", api.keys["free"], 404),
    ):
        with pytest.raises(InvalidStatus) as refused:
            async with watch(api, path, key):
                pass
        response = refused.value.response
        assert response.status_code == status
        assert response.headers["x-request-id"]
        assert json.loads(response.body)["error"]["code"]


async def test_a_paused_queue_explains_the_wait(api: ApiProcess) -> None:
    async with api.client() as admin:
        answer = await admin.post("/v1/admin/queues/chat.free/pause", json={"reason": "lunch"})
        assert answer.json()["desired"] == "paused"
        [row] = [
            one
            for one in (await admin.get("/v1/admin/queues")).json()["data"]
            if one["name"] == "chat.free"
        ]
        assert (row["reason"], row["actual"], row["ready"]) == ("lunch", "no_workers", 0)
    job_id = await submit(api)
    async with watch(api, job_id, api.keys["free"]) as socket:
        frame = await next_frame(socket)
    assert frame["waiting"] == {"reason": "queue_paused", "until": None, "detail": "lunch"}


async def test_money_reads_and_budgets_answer(api: ApiProcess) -> None:
    async with api.client() as admin:
        budget = {
            "window": "day",
            "limit_usd": "0.05",
            "thresholds": [{"at_usd": 0.01, "action": "pause", "queues": ["embed.bulk"]}],
        }
        put = await admin.put("/v1/admin/budgets/user:user-free", json=budget)
        assert (put.status_code, put.json()["limit_usd"]) == (200, "0.05")
        got = await admin.get("/v1/admin/budgets/user:user-free")
        assert got.json() == put.json()
        assert (await admin.get("/v1/admin/budgets")).json()["data"]
        assert (await admin.delete("/v1/admin/budgets/user:user-free")).status_code == 204
        assert (await admin.get("/v1/admin/budgets/user:user-free")).status_code == 404
        for path in (
            "/v1/admin/usage?group_by=user,provider,model,operation,tier,key,day",
            "/v1/admin/ledger",
        ):
            assert (await admin.get(path)).json()["data"] == []
        assert (await admin.get("/v1/admin/reconciliation")).json()["drift_usd"] == "0"


async def test_documents_become_bulk_jobs(api: ApiProcess, channel: AbstractChannel) -> None:
    async with api.client(api.keys["free"]) as client:
        made = await client.put("/v1/collections/books", json={})
        assert (made.status_code, made.json()["embedding_space"]) == (200, "bge-m3")
        documents = [{"id": f"d{n}", "text": f"text {n}", "metadata": {"n": n}} for n in range(200)]
        answer = await client.post("/v1/collections/books/documents", json={"documents": documents})
        assert answer.status_code == 202
        ingestion = (await client.get(f"/v1/ingestions/{answer.json()['ingestion_id']}")).json()
        assert (ingestion["documents"], ingestion["chunks"]) == (200, 200)
        assert (ingestion["status"], ingestion["cost_usd"]) == ("running", "0")
        assert [one["name"] for one in (await client.get("/v1/collections")).json()["data"]] == [
            "books"
        ]
    queue = await channel.get_queue("embed.bulk")
    async with asyncio.timeout(10), queue.iterator(no_ack=True) as messages:
        assert len([await anext(messages) for _ in range(3)]) == 3


async def test_a_stopping_server_sends_its_watchers_elsewhere(api: ApiProcess) -> None:
    job_id = await submit(api)
    async with watch(api, job_id, api.keys["free"]) as socket:
        await next_frame(socket)
        os.kill(api.pid, signal.SIGTERM)
        with pytest.raises(ConnectionClosed) as closed:
            await next_frame(socket)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1012
