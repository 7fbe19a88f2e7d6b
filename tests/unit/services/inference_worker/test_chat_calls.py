"""A stored request as a provider is asked, and an answer as it is stored."""

import orjson

from services.inference_worker.use_cases.chat_calls import chat_call, chat_result
from shared.domain.catalog import CLOUDFLARE
from shared.domain.ids import AttemptId
from shared.domain.provider_calls import (
    AnswerSchema,
    ChatCall,
    ChatFinished,
    ChatMessage,
    JsonAnswer,
    JsonSchema,
    NamedTool,
    Tool,
    ToolCall,
    ToolMode,
)
from shared.domain.routes import Candidate
from shared.domain.usage import NO_USAGE
from shared.messages.frames import JobCompleted, JobDelta
from shared.messages.requests import ChatRequest
from tests.support.chat_world import ChatWorld, command
from tests.support.fake_providers import Says

_SCHEMA: JsonSchema = {"type": "object", "properties": {}}
_CALL = ToolCall("call_1", "weather", '{"city":"Rome"}')
_ASKED = {"role": "user", "content": "hi"}


def _asked(*messages: object, **more: object) -> ChatCall:
    body = {"messages": list(messages) or [_ASKED], "max_tokens": 50, **more}
    request = ChatRequest.model_validate_json(orjson.dumps(body))
    return chat_call(Candidate(CLOUDFLARE, "llama", {"top_k": 3}), request, AttemptId("att_1"))


def _finished(*calls: ToolCall) -> ChatFinished:
    return ChatFinished("tool_calls", NO_USAGE, "llama", None, calls)


def test_a_request_of_an_earlier_release_is_still_read() -> None:
    call = _asked(_ASKED, temperature=None)

    assert call == ChatCall(
        AttemptId("att_1"), "llama", [ChatMessage("user", "hi")], 50, None, {"top_k": 3}, []
    )


def test_a_chat_is_interactive() -> None:
    assert _asked().is_interactive


def test_a_conversation_with_calls_and_parts_is_passed_on() -> None:
    function = {"name": "weather", "arguments": '{"city":"Rome"}'}
    call = _asked(
        {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
        {
            "role": "assistant",
            "tool_calls": [{"id": "call_1", "type": "function", "function": function}],
        },
        {"role": "tool", "tool_call_id": "call_1", "content": "sunny"},
    )

    assert call.messages == [
        ChatMessage("user", ("a", "b")),
        ChatMessage("assistant", "", (_CALL,)),
        ChatMessage("tool", "sunny", tool_call_id="call_1"),
    ]


def test_tools_and_the_choice_of_one_are_passed_on() -> None:
    tool = {"type": "function", "function": {"name": "weather", "parameters": _SCHEMA}}

    named = _asked(tools=[tool], tool_choice={"type": "function", "function": {"name": "weather"}})
    free = _asked(tools=[tool], tool_choice="required")

    assert named.tools == [Tool("weather", None, _SCHEMA)]
    assert named.tool_choice == NamedTool("weather")
    assert free.tool_choice is ToolMode.REQUIRED


def test_an_answer_in_json_is_asked_for() -> None:
    schema = {"name": "sky", "schema": _SCHEMA, "strict": True}

    assert _asked(response_format={"type": "text"}).response_format is None
    assert _asked(response_format={"type": "json_object"}).response_format == JsonAnswer()
    assert _asked(
        response_format={"type": "json_schema", "json_schema": schema}
    ).response_format == JsonAnswer(AnswerSchema("sky", _SCHEMA, None, strict=True))


def test_a_result_without_calls_names_none() -> None:
    assert chat_result("hello", _finished()) == {
        "message": {"role": "assistant", "content": "hello"},
        "finish_reason": "tool_calls",
    }


def test_a_result_has_the_calls_in_openais_shape() -> None:
    assert chat_result("", _finished(_CALL)) == {
        "message": {
            "role": "assistant",
            "content": "",
            "tool_calls": [
                {
                    "id": "call_1",
                    "type": "function",
                    "function": {"name": "weather", "arguments": '{"city":"Rome"}'},
                }
            ],
        },
        "finish_reason": "tool_calls",
    }


def test_what_postgresql_cannot_store_is_replaced() -> None:
    result = chat_result("", _finished(ToolCall("c\0", "f\0", '{"a":"\0"}')))

    assert b"\\u0000" not in orjson.dumps(result)


async def test_a_job_ends_with_calls_and_without_a_delta() -> None:
    world = ChatWorld(llama=Says(pieces=(), tool_calls=(_CALL,), finish_reason="tool_calls"))

    await world.complete_chat(command())

    assert not [frame for frame in world.frames.frames if isinstance(frame, JobDelta)]
    [completed] = [frame for frame in world.frames.frames if isinstance(frame, JobCompleted)]
    assert completed.result == chat_result("", _finished(_CALL))
