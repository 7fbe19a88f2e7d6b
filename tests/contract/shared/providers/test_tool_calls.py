"""Tool calls are read in every shape in which they come back."""

import orjson
import pytest

from shared.domain.catalog import CLOUDFLARE, OPENAI, Provider
from shared.domain.errors import ProviderTransientError
from shared.domain.ids import AttemptId
from shared.domain.provider_calls import (
    ChatCall,
    ChatFinished,
    ChatMessage,
    TextDelta,
    Tool,
    ToolCall,
)
from shared.domain.usage import TokenUsage
from shared.providers.json_reading import JsonObject
from shared.providers.registry import Providers
from tests.support.local_providers import LOCAL
from tests.support.replay_server import ReplayServer, json_reply, stream_reply

_PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}}
_CALL = ToolCall("call_1", "weather", '{"city":"Rome"}')
_USAGE = {"prompt_tokens": 40, "completion_tokens": 9, "total_tokens": 49}
_DONE = b"data: [DONE]\n\n"
_PROVIDERS = [CLOUDFLARE, OPENAI, LOCAL]


def _chat(*tools: Tool) -> ChatCall:
    asked = [ChatMessage("user", "Weather in Rome?")]
    return ChatCall(AttemptId("att_1"), "model", asked, 64, tools=tools)


_WEATHER = _chat(Tool("weather", "Tells the weather.", _PARAMETERS))


def _event(value: object) -> bytes:
    return b"data: " + orjson.dumps(value) + b"\n\n"


def _delta(delta: object, finish_reason: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    return _event({"id": "c", "object": "chat.completion.chunk", "model": "m", "choices": [choice]})


def _piece(arguments: object, **more: object) -> JsonObject:
    return {"index": 0, **more, "function": {"arguments": arguments}}


async def _answered(
    providers: Providers, provider: Provider, call: ChatCall = _WEATHER
) -> tuple[str, ChatFinished]:
    *deltas, end = [event async for event in providers.chat[provider].stream(call)]
    assert isinstance(end, ChatFinished)
    return "".join(delta.text for delta in deltas if isinstance(delta, TextDelta)), end


@pytest.mark.parametrize("provider", _PROVIDERS)
async def test_pieces_of_calls_become_calls(
    replay: ReplayServer, replayed: Providers, provider: Provider
) -> None:
    first = {"index": 0, "id": "call_1", "type": "function"}
    second = {"index": 1, "id": "call_2", "function": {"name": "now", "arguments": ""}}
    replay.replies = [
        stream_reply(
            _delta({"role": "assistant", "content": None}),
            _delta({"tool_calls": [{**first, "function": {"name": "weather", "arguments": ""}}]}),
            _delta({"tool_calls": [_piece('{"city":')]}),
            _delta({"tool_calls": [_piece('"Rome"}')]}),
            _delta({"tool_calls": [second]}),
            _delta({}, "tool_calls"),
            _DONE,
        )
    ]

    text, end = await _answered(replayed, provider)

    assert text == ""
    assert end.tool_calls == (_CALL, ToolCall("call_2", "now", "{}"))
    assert end.finish_reason == "tool_calls"
    assert end.usage.output_tokens == 4


@pytest.mark.parametrize("provider", _PROVIDERS)
async def test_calls_that_are_all_numbered_zero_are_told_apart_by_their_ids(
    replay: ReplayServer, replayed: Providers, provider: Provider
) -> None:
    pieces = [
        {"index": 0, "id": f"call_{n}", "function": {"name": "now", "arguments": "{}"}}
        for n in (1, 2)
    ]
    replay.replies = [stream_reply(_delta({"tool_calls": pieces}, "tool_calls"), _DONE)]

    _, end = await _answered(replayed, provider)

    assert [call.id for call in end.tool_calls] == ["call_1", "call_2"]


@pytest.mark.parametrize("provider", _PROVIDERS)
async def test_pieces_without_a_number_belong_to_the_call_before_them(
    replay: ReplayServer, replayed: Providers, provider: Provider
) -> None:
    first = {"id": "call_1", "function": {"name": "weather", "arguments": '{"city":'}}
    replay.replies = [
        stream_reply(
            _delta({"tool_calls": [first]}),
            _delta({"tool_calls": [{"function": {"arguments": '"Rome"}'}}]}, "tool_calls"),
            _DONE,
        )
    ]

    _, end = await _answered(replayed, provider)

    assert end.tool_calls == (_CALL,)


@pytest.mark.parametrize("provider", _PROVIDERS)
async def test_text_and_calls_come_together(
    replay: ReplayServer, replayed: Providers, provider: Provider
) -> None:
    call = {"index": 0, "id": "call_1", "function": {"name": "now", "arguments": "{}"}}
    replay.replies = [
        stream_reply(
            _delta({"content": "Let me see."}),
            _delta({"tool_calls": [call]}, "tool_calls"),
            _DONE,
        )
    ]

    text, end = await _answered(replayed, provider)

    assert text == "Let me see."
    assert end.tool_calls == (ToolCall("call_1", "now", "{}"),)


@pytest.mark.parametrize("provider", _PROVIDERS)
async def test_a_call_without_a_name_is_malformed_and_booked(
    replay: ReplayServer, replayed: Providers, provider: Provider
) -> None:
    replay.replies = [
        stream_reply(_delta({"tool_calls": [_piece("{}", id="call_1")]}, "tool_calls"), _DONE)
    ]

    with pytest.raises(ProviderTransientError) as caught:
        await _answered(replayed, provider)

    assert caught.value.failure.code == "malformed"
    assert caught.value.failure.usage.output_tokens == 1


@pytest.mark.parametrize("provider", _PROVIDERS)
async def test_tools_count_where_the_usage_is_assumed(
    replay: ReplayServer, replayed: Providers, provider: Provider
) -> None:
    replay.replies = [stream_reply(_delta({"content": "x"}))]

    with pytest.raises(ProviderTransientError) as bare:
        await _answered(replayed, provider, _chat())
    with pytest.raises(ProviderTransientError) as with_tools:
        await _answered(replayed, provider, _WEATHER)

    bare_tokens = bare.value.failure.usage.input_tokens
    assert with_tools.value.failure.usage.input_tokens > bare_tokens


@pytest.mark.parametrize(
    "result",
    [
        {"response": None, "tool_calls": [{"name": "weather", "arguments": {"city": "Rome"}}]},
        {"response": "", "tool_calls": [{"name": "weather", "arguments": '{"city":"Rome"}'}]},
        {
            "choices": [{"message": {"role": "assistant", "content": None}}],
            "tool_calls": [{"name": "weather", "arguments": {"city": "Rome"}}],
        },
    ],
)
async def test_flat_calls_of_a_whole_answer_get_an_id(
    replay: ReplayServer, replayed: Providers, result: dict[str, object]
) -> None:
    replay.replies = [json_reply({"result": {**result, "usage": _USAGE}, "success": True})]

    text, end = await _answered(replayed, CLOUDFLARE)

    assert text == ""
    assert end.tool_calls == (ToolCall("call_att_1_0", "weather", '{"city":"Rome"}'),)
    assert end.finish_reason == "tool_calls"
    assert end.usage == TokenUsage(40, 9)


async def test_nested_calls_of_a_whole_answer_keep_their_id(
    replay: ReplayServer, replayed: Providers
) -> None:
    called = {"name": "weather", "arguments": '{"city":"Rome"}'}
    message = {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": "call_1", "type": "function", "function": called}],
    }
    result = {"choices": [{"message": message, "finish_reason": "tool_calls"}], "usage": _USAGE}
    replay.replies = [json_reply({"result": result, "success": True})]

    _, end = await _answered(replayed, CLOUDFLARE)

    assert end.tool_calls == (_CALL,)


async def test_flat_calls_in_the_native_stream_are_read(
    replay: ReplayServer, replayed: Providers
) -> None:
    flat = {"name": "weather", "arguments": {"city": "Rome"}}
    replay.replies = [
        stream_reply(
            _event({"response": "", "tool_calls": []}),
            _event({"response": None, "tool_calls": [flat, {"name": "now"}]}),
            _event({"response": "", "usage": _USAGE}),
            _DONE,
        )
    ]

    _, end = await _answered(replayed, CLOUDFLARE)

    assert [(call.name, call.arguments) for call in end.tool_calls] == [
        ("weather", '{"city":"Rome"}'),
        ("now", "{}"),
    ]
    assert end.finish_reason == "tool_calls"
