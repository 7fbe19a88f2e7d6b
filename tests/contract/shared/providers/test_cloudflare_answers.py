"""Workers AI's recorded answers, byte for byte (captured or documented 2026-08 to 2026-10)."""

from decimal import Decimal

import orjson
import pytest

from shared.domain.ids import AttemptId
from shared.domain.provider_calls import (
    ChatCall,
    ChatFinished,
    ChatMessage,
)
from shared.domain.usage import TokenUsage
from shared.providers.registry import Providers
from tests.support.cloudflare_replies import DONE, NATIVE_END, USAGE, answer, chunk, counts, sse
from tests.support.local_providers import providers_at
from tests.support.replay_server import ReplayServer, json_reply, stream_reply


async def test_the_native_dialect_is_read(replay: ReplayServer, replayed: Providers) -> None:
    first = b'data: {"response":"Good","p":"abcdefgh"}\n\ndata: {"response":"bye","p":"ab"}\n\n'
    replay.replies = [stream_reply(first, b'data: {"response":""}\n\n', NATIVE_END)]

    text, end = await answer(replayed)

    assert text == "Goodbye"
    assert end == ChatFinished("stop", TokenUsage(12, 2), "@cf/meta/m", None)


async def test_the_last_usage_wins_over_the_increments(
    replay: ReplayServer, replayed: Providers
) -> None:
    replay.replies = [
        stream_reply(
            chunk({"role": "assistant", "content": ""}, usage=counts(147, 0, 1.33636)),
            chunk({"reasoning_content": "hm"}, usage=counts(0, 1, 0.0272727)),
            chunk({"content": "Hi"}, usage=counts(0, 1, 0.0272727)),
            chunk({"reasoning_content": None}, "stop", usage=counts(0, 0, 0)),
            sse({"model": "m", "choices": [], "usage": counts(0, 1, 0.0272727)}),
            sse({"response": "", "usage": counts(147, 2, 1.390908)}),
            DONE,
        )
    ]

    text, end = await answer(replayed)

    assert text == "Hi"
    assert end.usage == TokenUsage(147, 2, Decimal("1.390908"))
    assert end.model_answered == "@cf/meta/m-external"


async def test_cached_tokens_are_reported(replay: ReplayServer, replayed: Providers) -> None:
    usage = {**counts(147, 2, 1.39), "prompt_tokens_details": {"cached_tokens": 128}}
    replay.replies = [
        stream_reply(chunk({"content": "Hi"}, "stop"), sse({"response": "", "usage": usage}), DONE)
    ]

    _, end = await answer(replayed)

    assert end.usage == TokenUsage(147, 2, Decimal("1.39"), cached_tokens=128)


async def test_increments_without_a_total_are_added_up_by_counting(
    replay: ReplayServer, replayed: Providers
) -> None:
    replay.replies = [
        stream_reply(
            chunk({"content": ""}, usage=counts(147, 0, 1.3)),
            chunk({"content": "Hi"}, usage=counts(0, 1, 0.02)),
            chunk({"content": " you"}, "stop", usage=counts(0, 1, 0.02)),
        )
    ]

    _, end = await answer(replayed)

    assert end.usage == TokenUsage(147, 2)


async def test_data_needs_no_space_and_bytes_may_be_cut_anywhere(
    replay: ReplayServer, replayed: Providers
) -> None:
    stream = 'data:{"response":"für"}\r\n\r\n: comment\r\n\r\n'.encode() + NATIVE_END
    replay.replies = [stream_reply(*(bytes([byte]) for byte in stream))]

    text, _ = await answer(replayed)

    assert text == "für"


async def test_a_native_stream_that_reached_the_limit_ended_by_length(
    replay: ReplayServer, replayed: Providers
) -> None:
    usage = {"prompt_tokens": 5, "completion_tokens": 64}
    replay.replies = [
        stream_reply(sse({"response": 5}), sse({"response": "", "usage": usage}), DONE)
    ]

    text, end = await answer(replayed)

    assert text == "5"
    assert end.finish_reason == "length"


@pytest.mark.parametrize(
    ("result", "text"),
    [
        ({"response": "hello", "tool_calls": [], "usage": USAGE}, "hello"),
        ({"response": {"k": "v"}, "usage": USAGE}, '{"k":"v"}'),
        ({"response": 7, "usage": USAGE}, "7"),
        ({"choices": [{"finish_reason": "stop", "text": "plain"}], "usage": USAGE}, "plain"),
        ({"choices": [{"message": {"content": "hello"}}], "usage": USAGE}, "hello"),
        (
            {
                "choices": [{"message": {"content": '{"a": 1}'}}],
                "response": {"a": 1},
                "usage": USAGE,
            },
            '{"a": 1}',
        ),
        ({"choices": [{"message": {"content": None}}], "response": "x", "usage": USAGE}, "x"),
    ],
)
async def test_a_whole_answer_to_a_stream_request_is_read_in_every_shape(
    replay: ReplayServer, replayed: Providers, result: object, text: str
) -> None:
    replay.replies = [json_reply({"result": result, "success": True, "errors": []}, cf_ray="ray-1")]

    content, end = await answer(replayed)

    assert content == text
    assert end.usage == TokenUsage(12, 3)
    assert end.provider_request_id == "ray-1"


async def test_a_whole_answer_without_usage_is_counted_by_the_rule(
    replay: ReplayServer, replayed: Providers
) -> None:
    replay.replies = [json_reply({"result": {"response": "hello"}, "success": True})]

    _, end = await answer(replayed)

    assert end.usage.input_tokens == 5


async def test_a_request_carries_limits_options_and_credentials(
    replay: ReplayServer,
) -> None:
    replay.replies = [stream_reply(sse({"response": "x"}), NATIVE_END)]
    providers = providers_at(replay.url, tokens="one, two", gateway="gate")
    options = {"chat_template_kwargs.enable_thinking": False, "top_k": 3}
    call = ChatCall(AttemptId("a"), "@cf/x/m", [ChatMessage("user", "hi")], 64, 0.5, options)

    await answer(providers, call)
    await answer(providers, call)
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
    replay.replies = [wrong, stream_reply(sse({"response": "x"}), NATIVE_END)]
    providers = providers_at(replay.url, tokens="old,new")

    await answer(providers)
    await answer(providers)
    await providers.aclose()

    tokens = [request.headers["authorization"] for request in replay.requests]
    assert tokens == ["Bearer old", "Bearer new", "Bearer new"]
