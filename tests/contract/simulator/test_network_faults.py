"""Faults below HTTP and of time."""

import asyncio

import httpx
import pytest

from tests.contract.simulator.running import Simulator
from tests.contract.simulator.shapes import data_lines
from tests.support.waiting import wait_until

_NATIVE = "@cf/meta/llama-3.2-3b-instruct"
_PATH = f"/client/v4/accounts/acc/ai/run/{_NATIVE}"
_CHAT: dict[str, object] = {"messages": [{"role": "user", "content": "compare queues"}]}
_LUNA: dict[str, object] = _CHAT | {"model": "gpt-6-luna"}


@pytest.mark.parametrize(
    ("provider", "path", "body"),
    [("cloudflare", _PATH, _CHAT), ("openai", "/v1/chat/completions", _LUNA)],
)
async def test_a_connection_is_reset_without_an_answer(
    simulator: Simulator, provider: str, path: str, body: dict[str, object]
) -> None:
    await simulator.set(provider, mode="reset")
    with pytest.raises(httpx.ReadError):
        await simulator.http.post(path, json=body)
    assert await simulator.bill() == []
    await simulator.set(provider, mode="ok")
    assert (await simulator.http.post(path, json=body)).status_code == 200


@pytest.mark.parametrize(
    ("provider", "path", "body"),
    [("cloudflare", _PATH, _CHAT), ("openai", "/v1/chat/completions", _LUNA)],
)
async def test_a_silent_stream_is_kept_alive_without_a_token(
    simulator: Simulator, provider: str, path: str, body: dict[str, object]
) -> None:
    await simulator.set(provider, mode="silent")
    async with simulator.http.stream("POST", path, json=body | {"stream": True}) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        lines = answer.aiter_lines()
        heard = [await anext(lines) for _ in range(6)]
    assert set(heard) == {": keep-alive", ""}
    assert await simulator.bill() == []


@pytest.mark.parametrize(
    "path", [_PATH, "/client/v4/accounts/acc/ai/run/@cf/baai/bge-m3", "/v1/embeddings"]
)
async def test_a_silent_provider_never_answers(simulator: Simulator, path: str) -> None:
    await simulator.set("cloudflare", mode="silent")
    await simulator.set("openai", mode="silent")
    body = _CHAT | {"text": "x", "input": "x", "model": "text-embedding-3-small"}
    with pytest.raises(httpx.ReadTimeout):
        await simulator.http.post(path, json=body, timeout=0.2)
    assert await simulator.bill() == []


async def test_a_slow_answer_takes_ten_times_as_long(simulator: Simulator) -> None:
    await simulator.set("cloudflare", mode="slow", tokens_per_second=200)
    started = asyncio.get_running_loop().time()
    answer = await simulator.run(_NATIVE, _CHAT | {"stream": True, "max_tokens": 5})
    assert data_lines(answer.text)[-1] == "[DONE]"
    assert asyncio.get_running_loop().time() - started >= 4 / 20


async def test_latencies_are_spread(simulator: Simulator) -> None:
    await simulator.set("cloudflare", latency_ms={"p50": 20, "p99": 80}, seed=7)
    shown = (await simulator.http.get("/_control")).json()["cloudflare"]
    assert (shown["latency_ms"], shown["seed"]) == ({"p50": 20, "p99": 80}, 7)
    started = asyncio.get_running_loop().time()
    for _ in range(5):
        assert (await simulator.run(_NATIVE, _CHAT)).status_code == 200
    assert asyncio.get_running_loop().time() - started >= 0.05


async def test_a_call_waits_for_capacity_unless_it_says_otherwise(simulator: Simulator) -> None:
    await simulator.set("cloudflare", mode="no_capacity", queue_ms=150)
    loop = asyncio.get_running_loop()
    started = loop.time()
    queued = await simulator.run(_NATIVE, _CHAT)
    waited = loop.time() - started
    hasty = await simulator.run(_NATIVE, _CHAT | {"options": {"rejectIfBusy": True}})
    assert queued.status_code == hasty.status_code == 429
    assert waited >= 0.15 > loop.time() - started - waited


async def test_a_waiting_call_is_answered_once_there_is_capacity(simulator: Simulator) -> None:
    await simulator.set("cloudflare", mode="no_capacity", queue_ms=500)
    waiting = asyncio.create_task(simulator.run(_NATIVE, _CHAT))

    async def has_arrived() -> bool:
        total: int = (await simulator.http.get("/_requests")).json()["total"]
        return total == 1

    await wait_until(has_arrived)
    await simulator.set("cloudflare", mode="ok")
    assert (await waiting).status_code == 200
