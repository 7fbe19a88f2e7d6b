"""The simulator's answers beside real ones: the same names, the same kinds, the same order."""

import pytest

from simulator.json_values import JsonObject, is_array, is_object
from tests.contract.simulator.running import Simulator
from tests.contract.simulator.schemas import captured, captured_stream, shape_of
from tests.contract.simulator.shapes import data_lines, events

_NATIVE = "@cf/meta/llama-3.2-3b-instruct"
_BOTH = "@cf/meta/llama-3.1-8b-instruct-fast"
_GEMMA = "@cf/google/gemma-4-26b-a4b-it"
_CHAT: dict[str, object] = {
    "messages": [{"role": "user", "content": "compare message queues"}],
    "chat_template_kwargs": {"enable_thinking": False},
}
_JSON: dict[str, object] = {"response_format": {"type": "json_object"}}
_LUNA: dict[str, object] = _CHAT | {"model": "gpt-6-luna", "reasoning_effort": "none"}


@pytest.mark.parametrize(
    ("capture", "model", "body"),
    [
        ("cf_run_chat_native", _NATIVE, _CHAT),
        ("cf_run_chat_openai_like", _GEMMA, _CHAT),
        ("cf_run_prompt_mode", _NATIVE, {"prompt": "once", "max_tokens": 5}),
        ("cf_run_bge_m3", "@cf/baai/bge-m3", {"text": ["one", "two"]}),
        ("cf_run_qwen3_embedding", "@cf/qwen/qwen3-embedding-0.6b", {"text": "one"}),
    ],
)
async def test_cloudflare_answers_like_the_capture(
    simulator: Simulator, capture: str, model: str, body: dict[str, object]
) -> None:
    answer = (await simulator.run(model, body)).json()
    expected = captured(capture)
    assert _comparable(answer) == _comparable(expected)


@pytest.mark.parametrize(
    ("capture", "model"),
    [("cf_run_json_mode_object", _NATIVE), ("cf_run_chat_both_shapes", _BOTH)],
)
async def test_json_mode_answers_like_the_capture(
    simulator: Simulator, capture: str, model: str
) -> None:
    answer = (await simulator.run(model, _CHAT | _JSON)).json()
    expected = captured(capture)
    assert isinstance(answer["result"]["response"], dict)
    for one in (answer, expected):
        _object_at(one, "result")["response"] = {}
    assert shape_of(answer) == shape_of(expected)


async def test_the_native_stream_is_like_the_capture(simulator: Simulator) -> None:
    answer = await simulator.run(_NATIVE, _CHAT | {"stream": True})
    assert _distinct_shapes(answer.text) == _distinct_shapes(captured_stream("cf_stream_native"))


async def test_the_openai_like_stream_is_like_the_capture(simulator: Simulator) -> None:
    answer = await simulator.run(_GEMMA, _CHAT | {"stream": True})
    expected = captured_stream("cf_stream_openai_like")
    assert _distinct_shapes(answer.text) == _distinct_shapes(expected)


async def test_an_openai_completion_is_like_the_capture(simulator: Simulator) -> None:
    answer = (await simulator.http.post("/v1/chat/completions", json=_LUNA)).json()
    assert shape_of(answer) == shape_of(captured("openai_chat"))


async def test_an_openai_stream_is_like_the_capture(simulator: Simulator) -> None:
    options = {"stream": True, "stream_options": {"include_usage": True}}
    answer = await simulator.http.post("/v1/chat/completions", json=_LUNA | options)
    shapes = _distinct_shapes(answer.text)
    expected = _distinct_shapes(captured_stream("openai_stream"))
    for one in (shapes[-1], expected[-1]):
        _object_at(one, "usage").pop("completion_tokens_details", None)
    assert shapes == expected


async def test_openai_embeddings_are_like_the_capture(simulator: Simulator) -> None:
    body = {"model": "text-embedding-3-small", "input": "x", "encoding_format": "base64"}
    answer = (await simulator.http.post("/v1/embeddings", json=body)).json()
    assert shape_of(answer) == shape_of(captured("openai_embeddings_base64"))
    assert len(answer["data"][0]["embedding"]) == 8192


def _comparable(answer: dict[str, object]) -> object:
    """Return an answer's shape without the vectors, which a capture only names."""
    result = _object_at(answer, "result")
    data = result.get("data")
    if is_array(data):
        result["data"] = len(data)
    return shape_of(answer)


def _distinct_shapes(stream: str) -> list[object]:
    """Return the shapes of a stream's events, equal neighbours once."""
    shapes = [shape_of(event) for event in events(data_lines(stream))]
    pairs = zip(shapes, [None, *shapes], strict=False)
    return [shape for shape, before in pairs if shape != before]


def _object_at(value: object, name: str) -> JsonObject:
    assert is_object(value)
    found = value[name]
    assert is_object(found)
    return found
