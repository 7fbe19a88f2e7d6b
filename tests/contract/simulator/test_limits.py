"""Limits of a minute, over HTTP; that they hold in any minute is shown in the unit tests."""

import asyncio

import openai
import pytest
from openai.types.chat import ChatCompletionUserMessageParam

from tests.contract.simulator.running import Simulator

_NATIVE = "@cf/meta/llama-3.2-3b-instruct"
_OTHER = "@cf/google/gemma-4-26b-a4b-it"
_MESSAGES: list[ChatCompletionUserMessageParam] = [{"role": "user", "content": "compare queues"}]
_CHAT: dict[str, object] = {"messages": _MESSAGES}
_LUNA: dict[str, object] = _CHAT | {"model": "gpt-6-luna"}


async def _codes(simulator: Simulator, calls: int, model: str = _NATIVE) -> list[int]:
    return [(await simulator.run(model, _CHAT)).status_code for _ in range(calls)]


async def test_cloudflare_refuses_what_is_over_its_limit(simulator: Simulator) -> None:
    await simulator.set("cloudflare", requests_per_minute=3)
    assert await _codes(simulator, 3) == [200] * 3
    refused = await simulator.run(_NATIVE, _CHAT)
    assert (refused.status_code, refused.json()["errors"][0]["code"]) == (429, 3021)
    assert "retry-after" not in refused.headers
    assert len(await simulator.bill()) == 3


async def test_a_crowd_gets_no_more_through_than_the_limit(simulator: Simulator) -> None:
    await simulator.set("cloudflare", requests_per_minute=20, latency_ms={"p50": 5, "p99": 50})
    answers = await asyncio.gather(*(simulator.run(_NATIVE, _CHAT) for _ in range(50)))
    assert [answer.status_code for answer in answers].count(200) == 20


async def test_openai_tells_the_truth_about_its_limits(simulator: Simulator) -> None:
    await simulator.set("openai", requests_per_minute=2, tokens_per_minute=1000)
    answer = await simulator.http.post("/v1/chat/completions", json=_LUNA | {"max_tokens": 100})
    headers = answer.headers
    assert headers["x-ratelimit-limit-requests"] == "2"
    assert headers["x-ratelimit-remaining-requests"] == "1"
    assert headers["x-ratelimit-reset-requests"] == "1m0s"
    assert headers["x-ratelimit-limit-tokens"] == "1000"
    assert int(headers["x-ratelimit-remaining-tokens"]) == 1000 - 100 - 8
    assert headers.get_list("x-ratelimit-limit-requests") == ["2"]


async def test_openai_says_when_the_next_request_fits(simulator: Simulator) -> None:
    await simulator.set("openai", requests_per_minute=1)
    await simulator.http.post("/v1/chat/completions", json=_LUNA)
    with pytest.raises(openai.RateLimitError) as caught:
        await simulator.openai.chat.completions.create(model="gpt-6-luna", messages=_MESSAGES)
    headers = caught.value.response.headers
    assert (caught.value.code, caught.value.type) == ("rate_limit_exceeded", "requests")
    assert headers["x-ratelimit-remaining-requests"] == "0"
    assert 50 < int(headers["retry-after"]) <= 60
    assert 50_000 < int(headers["retry-after-ms"]) <= int(headers["retry-after"]) * 1000


async def test_openai_limits_tokens(simulator: Simulator) -> None:
    await simulator.set("openai", tokens_per_minute=150)
    body = _LUNA | {"max_completion_tokens": 100}
    first = await simulator.http.post("/v1/chat/completions", json=body)
    second = await simulator.http.post("/v1/chat/completions", json=body)
    assert (first.status_code, second.status_code) == (200, 429)
    assert second.json()["error"]["type"] == "tokens"
    assert first.headers["x-ratelimit-limit-requests"] == "10000"
    small = {"model": "text-embedding-3-small", "input": ["a queue", "a gate"]}
    assert (await simulator.http.post("/v1/embeddings", json=small)).status_code == 200


async def test_a_model_may_have_a_limit_of_its_own(simulator: Simulator) -> None:
    models = {_NATIVE: {"requests_per_minute": 1}}
    await simulator.set("cloudflare", requests_per_minute=2, models=models)
    assert await _codes(simulator, 2, _NATIVE) == [200, 429]
    assert await _codes(simulator, 3, _OTHER) == [200, 200, 429]


async def test_a_limit_holds_on_when_something_else_is_set(simulator: Simulator) -> None:
    await simulator.set("cloudflare", requests_per_minute=1)
    assert await _codes(simulator, 1) == [200]
    await simulator.set("cloudflare", latency_ms=1)
    assert await _codes(simulator, 1) == [429]
    await simulator.set("cloudflare", requests_per_minute=None)
    assert await _codes(simulator, 1) == [200]


async def test_the_log_counts_what_arrived(simulator: Simulator) -> None:
    await simulator.set("cloudflare", requests_per_minute=3)
    await _codes(simulator, 5)
    await simulator.http.post("/v1/chat/completions", json=_LUNA)
    everything = (await simulator.http.get("/_requests")).json()
    assert (everything["total"], everything["refused"]) == (6, 2)
    query = {"provider": "cloudflare", "model": _NATIVE}
    log = (await simulator.http.get("/_requests", params=query)).json()
    assert (log["total"], log["refused"], log["most_in_a_minute"]) == (5, 2, 5)
    assert sum(count for _, count in log["by_second"]) == 5
    assert 1 <= log["most_in_100ms"] <= 5
    missing = (await simulator.http.get("/_requests", params={"model": "none"})).json()
    assert (missing["total"], missing["by_second"], missing["most_in_a_minute"]) == (0, [], 0)


async def test_the_log_can_be_emptied(simulator: Simulator) -> None:
    await _codes(simulator, 1)
    emptied = (await simulator.http.delete("/_requests")).json()
    assert emptied["total"] == 0
    assert (await simulator.http.get("/_requests")).json() == emptied


async def test_the_log_of_an_unknown_provider_is_refused(simulator: Simulator) -> None:
    answer = await simulator.http.get("/_requests", params={"provider": "azure"})
    assert answer.status_code == 422
