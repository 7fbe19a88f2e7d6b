"""Answers that call a tool, in each provider's form."""

import json

import pytest

from tests.contract.simulator.running import Simulator
from tests.contract.simulator.shapes import data_lines, events

_NATIVE = "@cf/meta/llama-3.2-3b-instruct"
_BOTH = "@cf/meta/llama-3.1-8b-instruct-fast"
_QWEN = "@cf/qwen/qwen3-30b-a3b-fp8"
_PARAMETERS: dict[str, object] = {
    "type": "object",
    "properties": {
        "city": {"type": "string", "enum": ["Porto", "Lagos"]},
        "days": {"type": "integer"},
    },
    "required": ["city"],
}
_NONE: dict[str, object] = {"properties": {}}
_WEATHER = {"name": "weather", "description": "Look outside.", "parameters": _PARAMETERS}
_CLOCK = {"name": "clock", "description": "Tell the time.", "parameters": _NONE}
_FLAT = [_WEATHER, _CLOCK]
_WRAPPED = [{"type": "function", "function": tool} for tool in _FLAT]
_EXPECTED = {"city": "Porto", "days": 1}


def _chat(content: str = "call weather for me", **changes: object) -> dict[str, object]:
    return {"messages": [{"role": "user", "content": content}], "tools": _WRAPPED} | changes


@pytest.mark.parametrize("tools", [_FLAT, _WRAPPED])
async def test_a_native_model_calls_flatly(
    simulator: Simulator, tools: list[dict[str, object]]
) -> None:
    result = (await simulator.run(_NATIVE, _chat(tools=tools))).json()["result"]
    assert result["tool_calls"] == [{"name": "weather", "arguments": _EXPECTED}]
    assert result["response"] is None


@pytest.mark.parametrize("model", [_QWEN, _BOTH])
async def test_an_openai_like_model_calls_as_openai_does(simulator: Simulator, model: str) -> None:
    choice = (await simulator.run(model, _chat())).json()["result"]["choices"][0]
    [call] = choice["message"]["tool_calls"]
    assert choice["message"]["content"] is None
    assert call.keys() == {"id", "type", "function"}
    assert call["function"]["name"] == "weather"
    assert json.loads(call["function"]["arguments"]) == _EXPECTED


async def test_openai_calls_a_tool(simulator: Simulator) -> None:
    body = _chat(model="gpt-6-luna")
    answer = (await simulator.http.post("/v1/chat/completions", json=body)).json()
    [choice] = answer["choices"]
    [call] = choice["message"]["tool_calls"]
    assert (choice["finish_reason"], choice["message"]["content"]) == ("tool_calls", None)
    assert json.loads(call["function"]["arguments"]) == _EXPECTED
    [row] = await simulator.bill()
    assert row["output_tokens"] == answer["usage"]["completion_tokens"]


@pytest.mark.parametrize(
    ("choice", "content", "called"),
    [
        ("auto", "what is the weather", None),
        (None, "call weather", "weather"),
        ("auto", "call clock now", "clock"),
        ("auto", "call nobody", None),
        ("none", "call clock", None),
        ("required", "what is the time", "weather"),
        ("required", "call clock", "clock"),
        ({"type": "function", "function": {"name": "clock"}}, "call weather", "clock"),
    ],
)
async def test_the_choice_decides(
    simulator: Simulator, choice: object, content: str, called: str | None
) -> None:
    body = _chat(content, tool_choice=choice)
    calls = (await simulator.run(_NATIVE, body)).json()["result"]["tool_calls"]
    assert [call["name"] for call in calls] == ([called] if called else [])


@pytest.mark.parametrize("choice", ["any", {"name": "nobody"}, 1])
async def test_an_unfit_choice_is_refused(simulator: Simulator, choice: object) -> None:
    answer = await simulator.run(_NATIVE, _chat(tool_choice=choice))
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (400, 8001)
    body = _chat(tool_choice=choice, model="gpt-6-luna")
    refused = await simulator.http.post("/v1/chat/completions", json=body)
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "tool_choice")


@pytest.mark.parametrize("tools", ["weather", [1], [{}]])
async def test_unfit_tools_are_refused(simulator: Simulator, tools: object) -> None:
    answer = await simulator.run(_NATIVE, _chat(tools=tools))
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (400, 8001)


async def test_a_tools_answer_is_followed_by_text(simulator: Simulator) -> None:
    call = {"id": "1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}
    messages = [
        {"role": "user", "content": "call weather"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "1", "content": "sunny"},
    ]
    result = (await simulator.run(_NATIVE, _chat(messages=messages))).json()["result"]
    assert result["tool_calls"] == []
    assert result["response"]


async def test_arguments_that_were_cut_off_are_no_native_call(simulator: Simulator) -> None:
    result = (await simulator.run(_NATIVE, _chat(max_tokens=2))).json()["result"]
    assert (result["tool_calls"], result["response"]) == ([], None)


async def test_openai_streams_the_arguments(simulator: Simulator) -> None:
    stream = await simulator.openai.chat.completions.create(
        model="gpt-4o-mini",
        messages=[{"role": "user", "content": "call weather"}],
        tools=[{"type": "function", "function": {"name": "weather", "parameters": _PARAMETERS}}],
        stream=True,
    )
    choices = [chunk.choices[0] async for chunk in stream]
    deltas = [delta for choice in choices for delta in choice.delta.tool_calls or []]
    functions = [delta.function for delta in deltas if delta.function]
    assert len(deltas) > 2
    assert [function.name for function in functions if function.name] == ["weather"]
    assert json.loads("".join(function.arguments or "" for function in functions)) == _EXPECTED
    assert choices[-1].finish_reason == "tool_calls"


async def test_an_openai_like_model_streams_the_arguments(simulator: Simulator) -> None:
    answer = await simulator.run(_QWEN, _chat(stream=True))
    arguments = ""
    for event in events(data_lines(answer.text)):
        for choice in json.loads(json.dumps(event.get("choices", []))):
            for call in choice["delta"].get("tool_calls", []):
                arguments += call["function"]["arguments"]
    assert json.loads(arguments) == _EXPECTED


async def test_a_native_model_streams_a_call_in_one_piece(simulator: Simulator) -> None:
    chunks = events(data_lines((await simulator.run(_NATIVE, _chat(stream=True))).text))
    calls = [chunk["tool_calls"] for chunk in chunks if "tool_calls" in chunk]
    assert calls == [[{"name": "weather", "arguments": _EXPECTED}]]
