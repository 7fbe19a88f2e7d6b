import asyncio

import httpx
import openai
import orjson
import pytest
from openai.types.chat import ChatCompletionUserMessageParam

from tests.contract.simulator.running import Simulator
from tests.contract.simulator.shapes import data_lines, events

_NATIVE = "@cf/meta/llama-3.2-3b-instruct"
_LIKE_OPENAI = "@cf/google/gemma-4-26b-a4b-it"
_BGE_M3 = "@cf/baai/bge-m3"
_MESSAGES: list[ChatCompletionUserMessageParam] = [{"role": "user", "content": "compare queues"}]
_CHAT: dict[str, object] = {"messages": _MESSAGES}
_STREAM = _CHAT | {"stream": True}
_PATH = f"/client/v4/accounts/acc/ai/run/{_NATIVE}"


@pytest.mark.parametrize(
    ("mode", "status", "code"),
    [
        ("unauthorized", 401, 10000),
        ("rate_limited", 429, 3021),
        ("no_capacity", 429, 3040),
        ("quota", 429, 3036),
        ("retired", 410, 5028),
    ],
)
async def test_cloudflare_refuses_with_its_codes(
    simulator: Simulator, mode: str, status: int, code: int
) -> None:
    await simulator.set("cloudflare", mode=mode)
    answer = await simulator.run(_NATIVE, _STREAM)
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (status, code)
    assert await simulator.bill() == []


async def test_cloudflare_down_is_503_without_json(simulator: Simulator) -> None:
    await simulator.set("cloudflare", mode="down")
    answer = await simulator.run(_NATIVE, _CHAT)
    assert (answer.status_code, answer.text) == (503, "error code: 503")
    assert await simulator.bill() == []


@pytest.mark.parametrize(
    ("mode", "error", "code"),
    [
        ("down", openai.InternalServerError, None),
        ("unauthorized", openai.AuthenticationError, "invalid_api_key"),
        ("rate_limited", openai.RateLimitError, "rate_limit_exceeded"),
        ("no_capacity", openai.InternalServerError, "server_is_overloaded"),
        ("quota", openai.RateLimitError, "insufficient_quota"),
        ("retired", openai.NotFoundError, "model_not_found"),
    ],
)
async def test_openai_refuses_with_its_errors(
    simulator: Simulator, mode: str, error: type[openai.APIStatusError], code: str | None
) -> None:
    await simulator.set("openai", mode=mode)
    with pytest.raises(error) as caught:
        await simulator.openai.chat.completions.create(model="gpt-6-luna", messages=_MESSAGES)
    assert caught.value.code == code
    assert caught.value.request_id is not None
    assert await simulator.bill() == []


@pytest.mark.parametrize(("mode", "header"), [("rate_limited", "retry-after"), ("quota", None)])
async def test_openai_says_retry_only_for_speed(
    simulator: Simulator, mode: str, header: str | None
) -> None:
    await simulator.set("openai", mode=mode)
    body = _CHAT | {"model": "gpt-6-luna"}
    headers = (await simulator.http.post("/v1/chat/completions", json=body)).headers
    assert headers.get("retry-after") == ("1" if header else None)
    assert headers.get("x-should-retry") == (None if header else "false")


async def test_a_cut_stream_ends_without_the_terminator(simulator: Simulator) -> None:
    await simulator.set("cloudflare", mode="cut_stream", after_chunks=4)
    lines = data_lines((await simulator.run(_NATIVE, _STREAM)).text)
    [row] = await simulator.bill()
    assert [chunk.keys() for chunk in events(lines)] == [{"response", "p"}] * 4
    assert "[DONE]" not in lines
    assert (row["output_tokens"], row["completed"]) == (4, False)


async def test_a_stream_cut_before_its_first_token_costs_nothing(simulator: Simulator) -> None:
    await simulator.set("openai", mode="cut_stream", after_chunks=0)
    stream = await simulator.openai.chat.completions.create(
        model="gpt-6-luna", messages=_MESSAGES, stream=True
    )
    assert [chunk.choices[0].delta.content async for chunk in stream] == [""]
    assert await simulator.bill() == []


async def test_a_stalled_stream_keeps_the_connection(simulator: Simulator) -> None:
    await simulator.set("cloudflare", mode="stall", after_chunks=2)
    lines: list[str] = []

    async def read_all() -> None:
        async with simulator.http.stream("POST", _PATH, json=_STREAM, timeout=0.2) as answer:
            async for line in answer.aiter_lines():
                lines.append(line)

    with pytest.raises(httpx.ReadTimeout):
        await read_all()
    lines = [line for line in lines if line]
    assert len(lines) == 2
    row = await simulator.only_row(lambda row: row["output_tokens"] == 2)
    assert row["completed"] is False


async def test_a_stalled_whole_answer_is_billed(simulator: Simulator) -> None:
    await simulator.set("cloudflare", mode="stall")
    with pytest.raises(httpx.ReadTimeout):
        await simulator.http.post(_PATH, json=_CHAT, timeout=0.2)
    assert (await simulator.only_row(lambda row: bool(row["output_tokens"])))["completed"] is True


async def test_a_malformed_stream_has_a_broken_event(simulator: Simulator) -> None:
    await simulator.set("cloudflare", mode="malformed", after_chunks=2)
    lines = data_lines((await simulator.run(_NATIVE, _STREAM)).text)
    [row] = await simulator.bill()
    assert len(events(lines[:2])) == 2
    with pytest.raises(orjson.JSONDecodeError):
        orjson.loads(lines[2])
    assert (row["output_tokens"], row["completed"]) == (2, False)


async def test_a_malformed_body_is_billed(simulator: Simulator) -> None:
    await simulator.set("cloudflare", mode="malformed")
    answer = await simulator.run(_NATIVE, _CHAT)
    with pytest.raises(orjson.JSONDecodeError):
        orjson.loads(answer.content)
    assert len(await simulator.bill()) == 1


@pytest.mark.parametrize("streamed", [True, False])
async def test_an_empty_answer_bills_the_thinking(simulator: Simulator, *, streamed: bool) -> None:
    await simulator.set("cloudflare", mode="empty")
    body = _CHAT | {"max_tokens": 64, "stream": streamed}
    answer = await simulator.run(_LIKE_OPENAI, body)
    [row] = await simulator.bill()
    assert '"finish_reason":"length"' in answer.text
    assert '"completion_tokens":64' in answer.text
    assert (row["output_tokens"], row["completed"]) == (64, True)


async def test_an_empty_openai_answer_names_its_reasoning(simulator: Simulator) -> None:
    await simulator.set("openai", mode="empty")
    completion = await simulator.openai.chat.completions.create(
        model="gpt-6-luna", messages=_MESSAGES, max_completion_tokens=32
    )
    assert completion.choices[0].message.content == ""
    assert completion.choices[0].finish_reason == "length"
    assert completion.usage is not None
    assert completion.usage.completion_tokens_details is not None
    assert completion.usage.completion_tokens_details.reasoning_tokens == 32


async def test_empty_embeddings_hold_no_vector(simulator: Simulator) -> None:
    await simulator.set("cloudflare", mode="empty")
    result = (await simulator.run(_BGE_M3, {"text": "x"})).json()["result"]
    assert (result["data"], result["shape"]) == ([], [0, 1024])


async def test_a_share_of_calls_fails(simulator: Simulator) -> None:
    await simulator.set("cloudflare", mode="rate_limited", probability=0.25)
    codes = [(await simulator.run(_NATIVE, _CHAT)).status_code for _ in range(8)]
    assert codes.count(429) == 2


async def test_latency_and_speed_are_kept(simulator: Simulator) -> None:
    await simulator.set("cloudflare", latency_ms=50, tokens_per_second=100)
    started = asyncio.get_running_loop().time()
    answer = await simulator.run(_NATIVE, _STREAM | {"max_tokens": 11})
    elapsed = asyncio.get_running_loop().time() - started
    assert data_lines(answer.text)[-1] == "[DONE]"
    assert elapsed >= 0.05 + 10 / 100


async def test_a_whole_answer_takes_as_long_as_its_tokens(simulator: Simulator) -> None:
    await simulator.set("openai", tokens_per_second=100)
    started = asyncio.get_running_loop().time()
    await simulator.openai.chat.completions.create(
        model="gpt-6-luna", messages=_MESSAGES, max_completion_tokens=10
    )
    assert asyncio.get_running_loop().time() - started >= 0.1
