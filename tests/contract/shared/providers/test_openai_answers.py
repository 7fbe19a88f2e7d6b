"""What OpenAI's API and SDK do in the corners (observed with openai 3.54.0, 2026-11)."""

from collections.abc import AsyncGenerator

import orjson
import pytest

from shared.domain.catalog import OPENAI
from shared.domain.errors import (
    FailureAction,
    ProviderFailure,
    ProviderPermanentError,
    ProviderTransientError,
)
from shared.domain.ids import AttemptId
from shared.domain.provider_calls import (
    ChatCall,
    ChatFinished,
    ChatMessage,
    TextDelta,
)
from shared.domain.usage import NO_USAGE, TokenUsage
from shared.providers.registry import Providers
from tests.support.local_providers import providers_at
from tests.support.replay_server import ReplayServer, Reply, json_reply, stream_reply
from tests.support.waiting import wait_until

_CALL = ChatCall(
    AttemptId("att_1"),
    "gpt-6-luna",
    [
        ChatMessage("system", "s"),
        ChatMessage("developer", "d"),
        ChatMessage("assistant", "a"),
        ChatMessage("user", "word"),
    ],
    64,
    0.5,
    {"reasoning_effort": "none"},
)
_DONE = b"data: [DONE]\n\n"
_ASSUMED_INPUT = 20


def _chunk(choices: object, **more: object) -> bytes:
    chunk = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "gpt-6-luna-1"}
    return b"data: " + orjson.dumps(chunk | {"choices": choices} | more) + b"\n\n"


def _text(content: str | None, finish_reason: str | None = None) -> bytes:
    return _chunk([{"index": 0, "delta": {"content": content}, "finish_reason": finish_reason}])


_FINISH = _text(None, "stop")
_USAGE = _chunk([], usage={"prompt_tokens": 8, "completion_tokens": 2, "total_tokens": 10})


async def _answer(providers: Providers, call: ChatCall = _CALL) -> tuple[str, ChatFinished]:
    *deltas, end = [event async for event in providers.chat[OPENAI].stream(call)]
    assert isinstance(end, ChatFinished)
    return "".join(delta.text for delta in deltas if isinstance(delta, TextDelta)), end


async def _failure(providers: Providers) -> ProviderFailure:
    with pytest.raises((ProviderTransientError, ProviderPermanentError)) as caught:
        await _answer(providers)
    error = caught.value
    assert isinstance(error, ProviderTransientError | ProviderPermanentError)
    return error.failure


async def test_a_request_to_a_reasoning_model_carries_no_temperature(
    replay: ReplayServer, replayed: Providers
) -> None:
    replay.replies = [stream_reply(_text("x"), _FINISH, _USAGE, _DONE)]

    await _answer(replayed)

    assert replay.requests[0].headers["authorization"] == "Bearer key"
    assert orjson.loads(replay.requests[0].body) == {
        "model": "gpt-6-luna",
        "messages": [
            {"role": "system", "content": "s"},
            {"role": "developer", "content": "d"},
            {"role": "assistant", "content": "a"},
            {"role": "user", "content": "word"},
        ],
        "stream": True,
        "stream_options": {"include_usage": True},
        "max_completion_tokens": 64,
        "reasoning_effort": "none",
    }


async def test_a_request_to_another_model_carries_the_temperature(
    replay: ReplayServer, replayed: Providers
) -> None:
    replay.replies = [stream_reply(_text("x"), _FINISH, _USAGE, _DONE)]

    await _answer(replayed, ChatCall(AttemptId("a"), "gpt-4o", _CALL.messages, 64, 0.5))

    assert orjson.loads(replay.requests[0].body)["temperature"] == 0.5


async def test_an_answer_tells_what_answered_and_by_which_name(
    replay: ReplayServer, replayed: Providers
) -> None:
    reply = stream_reply(_text(""), _text("He"), _text("y"), _FINISH, _USAGE, _DONE)
    replay.replies = [reply]

    text, end = await _answer(replayed)

    assert text == "Hey"
    assert end == ChatFinished("stop", TokenUsage(8, 2), "gpt-6-luna-1", "c")


async def test_a_chunk_without_choices_changes_nothing(
    replay: ReplayServer, replayed: Providers
) -> None:
    bare = b'data: {"response":"","usage":{"prompt_tokens":8,"completion_tokens":1}}\n\n'
    replay.replies = [stream_reply(_text("Hi"), _FINISH, bare, _DONE)]

    text, end = await _answer(replayed)

    assert (text, end.usage) == ("Hi", TokenUsage(8, 1))


async def test_cached_and_written_tokens_and_the_tier_are_reported(
    replay: ReplayServer, replayed: Providers
) -> None:
    usage = {
        "prompt_tokens": 2_006,
        "completion_tokens": 300,
        "total_tokens": 2_306,
        "prompt_tokens_details": {"cached_tokens": 1_920, "cache_write_tokens": 64},
        "completion_tokens_details": {"reasoning_tokens": 280},
    }
    last = _chunk([], usage=usage, service_tier="priority")
    replay.replies = [stream_reply(_text("Hi"), _FINISH, last, _DONE)]

    _, end = await _answer(replayed)

    assert end.usage == TokenUsage(
        2_006, 300, cached_tokens=1_920, cache_write_tokens=64, service_tier="priority"
    )


async def test_a_finished_answer_without_a_usage_chunk_is_counted(
    replay: ReplayServer, replayed: Providers
) -> None:
    replay.replies = [stream_reply(_text("a"), _text("b"), _FINISH)]

    _, end = await _answer(replayed)

    assert end.usage == TokenUsage(_ASSUMED_INPUT, 2)


@pytest.mark.parametrize(
    ("ending", "code", "action"),
    [
        (b"", "stream_cut", FailureAction.RETRY_HERE),
        (_DONE, "stream_cut", FailureAction.RETRY_HERE),
        (b'data: {"choi\n\n', "malformed", FailureAction.FALL_BACK),
        (b"data: [1]\n\n", "malformed", FailureAction.FALL_BACK),
        (_chunk([{"index": 0, "delta": None}]), "malformed", FailureAction.FALL_BACK),
        (_chunk("x"), "malformed", FailureAction.FALL_BACK),
        (
            b'data: {"error":{"message":"x","type":"server_error","code":null}}\n\n',
            "server_error",
            FailureAction.RETRY_HERE,
        ),
        (
            b'data: {"error":{"message":"x","type":"odd","code":"stranger"}}\n\n',
            "stranger",
            FailureAction.FALL_BACK,
        ),
        (b'data: {"errors":[{"code":3040}]}\n\n', "stream_cut", FailureAction.RETRY_HERE),
    ],
)
async def test_a_stream_that_breaks_says_what_was_consumed(
    replay: ReplayServer, replayed: Providers, ending: bytes, code: str, action: FailureAction
) -> None:
    replay.replies = [stream_reply(_text("a"), _text("b"), ending)]

    failure = await _failure(replayed)

    assert (failure.code, failure.action) == (code, action)
    assert failure.usage == TokenUsage(_ASSUMED_INPUT, 2)


@pytest.mark.parametrize(
    ("reply", "code", "action"),
    [
        (json_reply({"choices": []}), "malformed", FailureAction.FALL_BACK),
        (Reply((b"hello",), content_type="text/plain"), "malformed", FailureAction.FALL_BACK),
        (Reply((b"<html>",), 502), "http_502", FailureAction.RETRY_HERE),
        (
            json_reply({"error": {"message": "x", "code": None}}, 418),
            "http_418",
            FailureAction.FALL_BACK,
        ),
        (
            json_reply({"error": {"code": "invalid_value"}}, 400),
            "invalid_value",
            FailureAction.FAIL,
        ),
        (stream_reply(hangs=True), "timeout_first_token", FailureAction.RETRY_HERE),
        (Reply(hangs=True, status=500, length=9), "timeout_first_token", FailureAction.RETRY_HERE),
    ],
)
async def test_what_is_no_answer_is_a_failure_that_cost_nothing(
    replay: ReplayServer, replayed: Providers, reply: Reply, code: str, action: FailureAction
) -> None:
    replay.replies = [reply]

    failure = await _failure(replayed)

    assert (failure.code, failure.action) == (code, action)
    assert failure.usage == NO_USAGE


async def test_a_connection_lost_in_an_answer_is_a_cut(
    replay: ReplayServer, replayed: Providers
) -> None:
    headers = [("x-request-id", "req-1")]
    kind = "text/event-stream"
    replay.replies = [Reply((_text("a"),), content_type=kind, headers=headers, length=9999)]

    failure = await _failure(replayed)

    assert (failure.code, failure.provider_request_id) == ("stream_cut", "req-1")
    assert failure.usage == TokenUsage(_ASSUMED_INPUT, 1)


async def test_a_server_that_is_not_there_is_a_connection_failure() -> None:
    providers = providers_at("http://127.0.0.1:1")

    failure = await _failure(providers)
    await providers.aclose()

    assert (failure.code, failure.action) == ("connection", FailureAction.RETRY_HERE)


async def test_closing_an_answer_closes_the_connection(
    replay: ReplayServer, replayed: Providers
) -> None:
    replay.replies = [stream_reply(_text("a"), hangs=True)]
    stream = replayed.chat[OPENAI].stream(_CALL)

    assert await anext(stream) == TextDelta("a")
    assert isinstance(stream, AsyncGenerator)
    await stream.aclose()

    await wait_until(lambda: replay.connections_open == 0)


async def test_nothing_is_retried_by_the_sdk(replay: ReplayServer, replayed: Providers) -> None:
    replay.replies = [json_reply({"error": {"code": "slow_down"}}, 503)]

    await _failure(replayed)

    assert len(replay.requests) == 1
