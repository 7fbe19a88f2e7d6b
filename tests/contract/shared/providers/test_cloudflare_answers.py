"""Workers AI's recorded answers, byte for byte (captured or documented 2026-08 to 2026-10)."""

import asyncio
from collections.abc import AsyncGenerator
from decimal import Decimal

import numpy as np
import orjson
import pytest

from shared.domain.catalog import Provider
from shared.domain.errors import (
    FailureAction,
    ProviderFailure,
    ProviderPermanentError,
    ProviderTransientError,
)
from shared.domain.ids import AttemptId
from shared.domain.provider_calls import (
    ChatCall,
    ChatEvent,
    ChatFinished,
    ChatMessage,
    EmbeddingAnswer,
    EmbeddingCall,
    TextDelta,
)
from shared.domain.usage import NO_USAGE, TokenUsage
from shared.providers.registry import Providers
from tests.support.local_providers import providers_at
from tests.support.replay_server import ReplayServer, Reply, json_reply, stream_reply
from tests.support.waiting import wait_until

_CALL = ChatCall(AttemptId("att_1"), "@cf/meta/m", [ChatMessage("user", "word")], 64, 0.5)
_DONE = b"data: [DONE]\n\n"
_USAGE = {"prompt_tokens": 12, "completion_tokens": 3, "total_tokens": 15}
_NATIVE_END = (
    b'data: {"response":"","usage":{"prompt_tokens":12,"completion_tokens":2}}\n\n' + _DONE
)


def _event(value: object) -> bytes:
    return b"data: " + orjson.dumps(value) + b"\n\n"


def _chunk(delta: object, finish_reason: str | None = None, **more: object) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    return _event({"model": "@cf/meta/m-external", "choices": [choice], "p": "pad", **more})


def _counts(prompt: int, completion: int, neurons: float) -> dict[str, float]:
    return {"prompt_tokens": prompt, "completion_tokens": completion, "neurons": neurons}


async def _events(providers: Providers, call: ChatCall = _CALL) -> list[ChatEvent]:
    return [event async for event in providers.chat[Provider.CLOUDFLARE].stream(call)]


async def _answer(providers: Providers, call: ChatCall = _CALL) -> tuple[str, ChatFinished]:
    *deltas, end = await _events(providers, call)
    assert isinstance(end, ChatFinished)
    return "".join(delta.text for delta in deltas if isinstance(delta, TextDelta)), end


async def _failure(providers: Providers) -> ProviderFailure:
    with pytest.raises((ProviderTransientError, ProviderPermanentError)) as caught:
        await _events(providers)
    error = caught.value
    assert isinstance(error, ProviderTransientError | ProviderPermanentError)
    return error.failure


async def test_the_native_dialect_is_read(replay: ReplayServer, replayed: Providers) -> None:
    first = b'data: {"response":"Good","p":"abcdefgh"}\n\ndata: {"response":"bye","p":"ab"}\n\n'
    replay.replies = [stream_reply(first, b'data: {"response":""}\n\n', _NATIVE_END)]

    text, end = await _answer(replayed)

    assert text == "Goodbye"
    assert end == ChatFinished("stop", TokenUsage(12, 2), "@cf/meta/m", None)


async def test_the_last_usage_wins_over_the_increments(
    replay: ReplayServer, replayed: Providers
) -> None:
    replay.replies = [
        stream_reply(
            _chunk({"role": "assistant", "content": ""}, usage=_counts(147, 0, 1.33636)),
            _chunk({"reasoning_content": "hm"}, usage=_counts(0, 1, 0.0272727)),
            _chunk({"content": "Hi"}, usage=_counts(0, 1, 0.0272727)),
            _chunk({"reasoning_content": None}, "stop", usage=_counts(0, 0, 0)),
            _event({"model": "m", "choices": [], "usage": _counts(0, 1, 0.0272727)}),
            _event({"response": "", "usage": _counts(147, 2, 1.390908)}),
            _DONE,
        )
    ]

    text, end = await _answer(replayed)

    assert text == "Hi"
    assert end.usage == TokenUsage(147, 2, Decimal("1.390908"))
    assert end.model_answered == "@cf/meta/m-external"


async def test_increments_without_a_total_are_added_up_by_counting(
    replay: ReplayServer, replayed: Providers
) -> None:
    replay.replies = [
        stream_reply(
            _chunk({"content": ""}, usage=_counts(147, 0, 1.3)),
            _chunk({"content": "Hi"}, usage=_counts(0, 1, 0.02)),
            _chunk({"content": " you"}, "stop", usage=_counts(0, 1, 0.02)),
        )
    ]

    _, end = await _answer(replayed)

    assert end.usage == TokenUsage(147, 2)


async def test_data_needs_no_space_and_bytes_may_be_cut_anywhere(
    replay: ReplayServer, replayed: Providers
) -> None:
    stream = 'data:{"response":"für"}\r\n\r\n: comment\r\n\r\n'.encode() + _NATIVE_END
    replay.replies = [stream_reply(*(bytes([byte]) for byte in stream))]

    text, _ = await _answer(replayed)

    assert text == "für"


async def test_a_native_stream_that_reached_the_limit_ended_by_length(
    replay: ReplayServer, replayed: Providers
) -> None:
    usage = {"prompt_tokens": 5, "completion_tokens": 64}
    replay.replies = [
        stream_reply(_event({"response": 5}), _event({"response": "", "usage": usage}), _DONE)
    ]

    text, end = await _answer(replayed)

    assert text == "5"
    assert end.finish_reason == "length"


@pytest.mark.parametrize(
    ("result", "text"),
    [
        ({"response": "hello", "tool_calls": [], "usage": _USAGE}, "hello"),
        ({"response": {"k": "v"}, "usage": _USAGE}, '{"k":"v"}'),
        ({"response": 7, "usage": _USAGE}, "7"),
        ({"choices": [{"finish_reason": "stop", "text": "plain"}], "usage": _USAGE}, "plain"),
        ({"choices": [{"message": {"content": "hello"}}], "usage": _USAGE}, "hello"),
        (
            {
                "choices": [{"message": {"content": '{"a": 1}'}}],
                "response": {"a": 1},
                "usage": _USAGE,
            },
            '{"a": 1}',
        ),
        ({"choices": [{"message": {"content": None}}], "response": "x", "usage": _USAGE}, "x"),
    ],
)
async def test_a_whole_answer_to_a_stream_request_is_read_in_every_shape(
    replay: ReplayServer, replayed: Providers, result: object, text: str
) -> None:
    replay.replies = [json_reply({"result": result, "success": True, "errors": []}, cf_ray="ray-1")]

    answered, end = await _answer(replayed)

    assert answered == text
    assert end.usage == TokenUsage(12, 3)
    assert end.provider_request_id == "ray-1"


async def test_a_whole_answer_without_usage_is_counted_by_the_rule(
    replay: ReplayServer, replayed: Providers
) -> None:
    replay.replies = [json_reply({"result": {"response": "hello"}, "success": True})]

    _, end = await _answer(replayed)

    assert end.usage.input_tokens == 5


async def test_a_request_carries_limits_options_and_credentials(
    replay: ReplayServer,
) -> None:
    replay.replies = [stream_reply(_event({"response": "x"}), _NATIVE_END)]
    providers = providers_at(replay.url, tokens="one, two", gateway="gate")
    options = {"chat_template_kwargs.enable_thinking": False, "top_k": 3}
    call = ChatCall(AttemptId("a"), "@cf/x/m", [ChatMessage("user", "hi")], 64, 0.5, options)

    await _answer(providers, call)
    await _answer(providers, call)
    await providers.aclose()

    first, second = replay.requests
    assert first.path == "/client/v4/accounts/account/ai/run/@cf/x/m"
    assert first.headers["cf-aig-gateway-id"] == "gate"
    assert first.headers["authorization"] == "Bearer one"
    assert second.headers["authorization"] == "Bearer two"
    assert orjson.loads(first.body) == {
        "messages": [{"role": "user", "content": "hi"}],
        "stream": True,
        "max_tokens": 64,
        "temperature": 0.5,
        "options": {"rejectIfBusy": True},
        "chat_template_kwargs": {"enable_thinking": False},
        "top_k": 3,
    }


async def test_a_refused_token_is_replaced_within_the_call(replay: ReplayServer) -> None:
    wrong = json_reply(
        {"result": None, "success": False, "errors": [{"code": 10000, "message": "x"}]}, 401
    )
    replay.replies = [wrong, stream_reply(_event({"response": "x"}), _NATIVE_END)]
    providers = providers_at(replay.url, tokens="old,new")

    await _answer(providers)
    await _answer(providers)
    await providers.aclose()

    tokens = [request.headers["authorization"] for request in replay.requests]
    assert tokens == ["Bearer old", "Bearer new", "Bearer new"]


@pytest.mark.parametrize(
    ("reply", "code", "action"),
    [
        (
            json_reply({"success": False, "error": [{"code": 2045}], "internalCode": 2045}, 429),
            "2045",
            FailureAction.FALL_BACK,
        ),
        (
            json_reply({"success": False, "errors": [{"code": 3040, "message": "x"}]}),
            "3040",
            FailureAction.BACK_OFF,
        ),
        (
            json_reply({"success": False, "errors": [{"code": 3030}]}, 400),
            "3030",
            FailureAction.FALL_BACK,
        ),
        (Reply((b"<html>",), 502), "http_502", FailureAction.RETRY_HERE),
        (Reply((b"<html>",)), "malformed", FailureAction.FALL_BACK),
        (Reply((b"[1]",)), "malformed", FailureAction.FALL_BACK),
        (
            json_reply({"result": {"response": None}, "success": True}),
            "empty_answer",
            FailureAction.FALL_BACK,
        ),
        (Reply((b"{",), length=100), "connection", FailureAction.RETRY_HERE),
        (stream_reply(), "stream_cut", FailureAction.RETRY_HERE),
    ],
)
async def test_what_is_no_answer_is_a_failure_that_cost_nothing(
    replay: ReplayServer, replayed: Providers, reply: Reply, code: str, action: FailureAction
) -> None:
    replay.replies = [reply]

    failure = await _failure(replayed)

    assert (failure.code, failure.action) == (code, action)
    assert failure.usage == NO_USAGE


@pytest.mark.parametrize(
    ("ending", "code"),
    [
        (b"", "stream_cut"),
        (b'data: {"errors":[{"code":3008,"message":"aborted"}]}\n\n', "3008"),
        (b'data: {"error":{"code":"odd","message":"x"}}\n\n', "odd"),
        (b'data: {"errors":["x"]}\n\n', "unknown"),
        (b'data: {"respo\n\n', "malformed"),
        (b"data: 1\n\n", "malformed"),
    ],
)
async def test_a_stream_that_breaks_says_what_was_consumed(
    replay: ReplayServer, replayed: Providers, ending: bytes, code: str
) -> None:
    replay.replies = [stream_reply(_event({"response": "a"}), _event({"response": "b"}), ending)]

    failure = await _failure(replayed)

    assert failure.code == code
    assert failure.usage == TokenUsage(5, 2)


async def test_a_connection_lost_in_an_answer_is_a_cut(
    replay: ReplayServer, replayed: Providers
) -> None:
    replay.replies = [
        Reply(
            (_event({"response": "a"}),),
            content_type="text/event-stream",
            headers=[("cf-ray", "ray-1")],
            length=1000,
        )
    ]

    failure = await _failure(replayed)

    assert (failure.code, failure.provider_request_id) == ("stream_cut", "ray-1")
    assert failure.usage == TokenUsage(5, 1)


async def test_a_server_that_is_not_there_is_a_connection_failure() -> None:
    providers = providers_at("http://127.0.0.1:1")

    failure = await _failure(providers)
    await providers.aclose()

    assert (failure.code, failure.action) == ("connection", FailureAction.RETRY_HERE)


async def test_an_end_that_is_late_to_close_does_not_delay_the_answer(
    replay: ReplayServer, replayed: Providers
) -> None:
    replay.replies = [stream_reply(_event({"response": "a"}), _NATIVE_END, hangs=True)]

    text, _ = await _answer(replayed)

    assert text == "a"


async def test_keeping_silent_but_connected_is_no_progress(
    replay: ReplayServer, replayed: Providers
) -> None:
    comments = [b": keep alive\n\n"] * 3
    replay.replies = [stream_reply(_event({"response": "a"}), *comments, hangs=True)]

    failure = await _failure(replayed)

    assert failure.code == "timeout_between_tokens"
    assert failure.usage == TokenUsage(5, 1)


async def test_cancelling_closes_the_connection(replay: ReplayServer, replayed: Providers) -> None:
    replay.replies = [stream_reply(_event({"response": "a"}), hangs=True)]
    has_begun = asyncio.Event()

    async def read() -> None:
        async for _ in replayed.chat[Provider.CLOUDFLARE].stream(_CALL):
            has_begun.set()

    reading = asyncio.create_task(read())
    await has_begun.wait()
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading

    await wait_until(lambda: replay.connections_open == 0)


async def test_closing_an_answer_closes_the_connection(
    replay: ReplayServer, replayed: Providers
) -> None:
    replay.replies = [stream_reply(_event({"response": "a"}), hangs=True)]
    stream = replayed.chat[Provider.CLOUDFLARE].stream(_CALL)

    assert await anext(stream) == TextDelta("a")
    assert isinstance(stream, AsyncGenerator)
    await stream.aclose()

    await wait_until(lambda: replay.connections_open == 0)


async def _embed(providers: Providers, texts: int = 2, dimensions: int = 3) -> EmbeddingAnswer:
    call = EmbeddingCall(AttemptId("a"), "@cf/baai/bge-m3", ["one two"] * texts, dimensions)
    return await providers.embedding[Provider.CLOUDFLARE].embed(call)


async def test_bge_vectors_and_their_cost_in_meta_are_read(
    replay: ReplayServer, replayed: Providers
) -> None:
    meta = {"cost_metric_name_1": "input_tokens", "cost_metric_value_1": 20, "neurons": 0.0214917}
    result = {"shape": [2, 3], "data": [[1, 2, 3], [4, 5, 6.5]], "response": None, "meta": meta}
    replay.replies = [json_reply({"result": result, "success": True}, cf_ray="ray-1")]

    answer = await _embed(replayed)

    assert answer.usage == TokenUsage(20, 0, Decimal("0.0214917"))
    assert answer.provider_request_id == "ray-1"
    assert np.frombuffer(answer.vectors[1], "<f4").tolist() == [4, 5, 6.5]
    assert orjson.loads(replay.requests[0].body) == {"text": ["one two", "one two"]}


async def test_an_embedding_without_usage_is_counted_by_the_rule(
    replay: ReplayServer, replayed: Providers
) -> None:
    replay.replies = [json_reply({"result": {"data": [[1, 2, 3], [4, 5, 6]]}, "success": True})]

    answer = await _embed(replayed)

    assert answer.usage == TokenUsage(4)


@pytest.mark.parametrize(
    "data",
    [
        [[1, 2, 3]],
        [[1, 2], [3, 4]],
        [[1, 2, 3], [4, 5]],
        [[1, 2, 3], [4, 5, None]],
        None,
        ["a", "b"],
    ],
)
async def test_vectors_of_a_wrong_shape_are_malformed(
    replay: ReplayServer, replayed: Providers, data: object
) -> None:
    usage = {"prompt_tokens": 9}
    replay.replies = [json_reply({"result": {"data": data, "usage": usage}, "success": True})]

    with pytest.raises(ProviderTransientError) as caught:
        await _embed(replayed)

    assert caught.value.failure.code == "malformed"
    assert caught.value.failure.usage == TokenUsage(9)


@pytest.mark.parametrize(
    ("reply", "code", "usage"),
    [
        (json_reply({"success": False, "errors": [{"code": 3007}]}), "3007", NO_USAGE),
        (Reply((b"{",), length=9, headers=[("cf-ray", "r")]), "stream_cut", TokenUsage(4)),
        (Reply((b"{",), hangs=True), "timeout_total", TokenUsage(4)),
    ],
)
async def test_an_embedding_that_fails_late_is_booked_if_it_may_have_been_made(
    replay: ReplayServer, replayed: Providers, reply: Reply, code: str, usage: TokenUsage
) -> None:
    replay.replies = [reply]

    with pytest.raises(ProviderTransientError) as caught:
        await _embed(replayed)

    assert caught.value.failure.code == code
    assert caught.value.failure.usage == usage
