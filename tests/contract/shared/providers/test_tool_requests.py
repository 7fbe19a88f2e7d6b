"""Tools are asked for in the shape that each API wants."""

from collections.abc import Sequence

import orjson
import pytest

from shared.domain.catalog import CLOUDFLARE, OPENAI, Provider
from shared.domain.ids import AttemptId
from shared.domain.provider_calls import (
    ChatCall,
    ChatMessage,
    NamedTool,
    Tool,
    ToolCall,
    ToolMode,
)
from shared.providers.json_reading import JsonObject, decode_object
from shared.providers.registry import Providers
from tests.support.local_providers import LOCAL
from tests.support.replay_server import ReplayServer, Reply, stream_reply

_PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}}
_CALL = ToolCall("call_1", "weather", '{"city":"Rome"}')
_USAGE = {"prompt_tokens": 40, "completion_tokens": 9, "total_tokens": 49}
_DONE = b"data: [DONE]\n\n"
_PROVIDERS = [CLOUDFLARE, OPENAI, LOCAL]


def _chat(
    *messages: ChatMessage, tools: Sequence[Tool] = (), choice: ToolMode | NamedTool | None = None
) -> ChatCall:
    asked = messages or (ChatMessage("user", "Weather in Rome?"),)
    return ChatCall(AttemptId("att_1"), "model", asked, 64, tools=tools, tool_choice=choice)


_WEATHER = _chat(tools=[Tool("weather", "Tells the weather.", _PARAMETERS)])


def _event(value: object) -> bytes:
    return b"data: " + orjson.dumps(value) + b"\n\n"


def _delta(delta: object, finish_reason: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    return _event({"id": "c", "object": "chat.completion.chunk", "model": "m", "choices": [choice]})


def _text_reply(provider: Provider) -> Reply:
    if provider == CLOUDFLARE:
        return stream_reply(_event({"response": "x", "usage": _USAGE}), _DONE)
    return stream_reply(_delta({"content": "x"}, "stop"), _DONE)


async def _asked(
    replay: ReplayServer, providers: Providers, provider: Provider, call: ChatCall
) -> JsonObject:
    """Return the body that a call sends."""
    replay.replies = [_text_reply(provider)]
    _ = [event async for event in providers.chat[provider].stream(call)]
    return decode_object(replay.requests[0].body)


@pytest.mark.parametrize("provider", _PROVIDERS)
async def test_a_request_names_its_tools(
    replay: ReplayServer, replayed: Providers, provider: Provider
) -> None:
    body = await _asked(replay, replayed, provider, _WEATHER)

    function = {"name": "weather", "description": "Tells the weather.", "parameters": _PARAMETERS}
    assert body["tools"] == [{"type": "function", "function": function}]
    assert "tool_choice" not in body


@pytest.mark.parametrize("provider", _PROVIDERS)
@pytest.mark.parametrize(
    ("choice", "sent"),
    [
        (ToolMode.AUTO, "auto"),
        (ToolMode.NONE, "none"),
        (ToolMode.REQUIRED, "required"),
        (NamedTool("weather"), {"type": "function", "function": {"name": "weather"}}),
    ],
)
async def test_a_request_says_which_tool_must_be_called(
    replay: ReplayServer,
    replayed: Providers,
    provider: Provider,
    choice: ToolMode | NamedTool,
    sent: object,
) -> None:
    call = _chat(tools=_WEATHER.tools, choice=choice)

    assert (await _asked(replay, replayed, provider, call))["tool_choice"] == sent


async def test_cloudflare_is_told_what_openai_leaves_out(
    replay: ReplayServer, replayed: Providers
) -> None:
    body = await _asked(replay, replayed, CLOUDFLARE, _chat(tools=[Tool("now")]))

    nothing: JsonObject = {"type": "object", "properties": {}}
    function = {"name": "now", "description": "", "parameters": nothing}
    assert body["tools"] == [{"type": "function", "function": function}]


@pytest.mark.parametrize("provider", [OPENAI, LOCAL])
async def test_openai_is_told_no_more_than_the_caller_said(
    replay: ReplayServer, replayed: Providers, provider: Provider
) -> None:
    call = _chat(tools=[Tool("now", strict=True)])

    body = await _asked(replay, replayed, provider, call)

    assert body["tools"] == [{"type": "function", "function": {"name": "now", "strict": True}}]


@pytest.mark.parametrize(("provider", "no_text"), [(CLOUDFLARE, ""), (OPENAI, None), (LOCAL, None)])
async def test_a_conversation_with_calls_and_parts_is_sent_whole(
    replay: ReplayServer, replayed: Providers, provider: Provider, no_text: str | None
) -> None:
    call = _chat(
        ChatMessage("user", ("Weather", "in Rome?")),
        ChatMessage("assistant", "", tool_calls=(_CALL,)),
        ChatMessage("tool", "sunny", tool_call_id="call_1"),
    )

    body = await _asked(replay, replayed, provider, call)

    called = {"name": "weather", "arguments": '{"city":"Rome"}'}
    assert body["messages"] == [
        {
            "role": "user",
            "content": [{"type": "text", "text": "Weather"}, {"type": "text", "text": "in Rome?"}],
        },
        {
            "role": "assistant",
            "content": no_text,
            "tool_calls": [{"id": "call_1", "type": "function", "function": called}],
        },
        {"role": "tool", "content": "sunny", "tool_call_id": "call_1"},
    ]
