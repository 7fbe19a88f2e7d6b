"""Workers AI failing in every known way: what is said, and what was consumed."""

import asyncio
from collections.abc import AsyncGenerator

import pytest

from shared.domain.catalog import CLOUDFLARE
from shared.domain.errors import (
    FailureAction,
)
from shared.domain.provider_calls import (
    TextDelta,
)
from shared.domain.usage import NO_USAGE, TokenUsage
from shared.providers.registry import Providers
from tests.support.cloudflare_replies import (
    CALL,
    NATIVE_END,
    answer,
    failed,
    sse,
)
from tests.support.local_providers import providers_at
from tests.support.replay_server import ReplayServer, Reply, json_reply, stream_reply
from tests.support.waiting import wait_until


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
        (Reply((b"{",), length=100), "stream_cut", FailureAction.RETRY_HERE),
        (stream_reply(), "stream_cut", FailureAction.RETRY_HERE),
    ],
)
async def test_what_is_no_answer_is_a_failure_that_cost_nothing(
    replay: ReplayServer, replayed: Providers, reply: Reply, code: str, action: FailureAction
) -> None:
    replay.replies = [reply]

    failure = await failed(replayed)

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
    replay.replies = [stream_reply(sse({"response": "a"}), sse({"response": "b"}), ending)]

    failure = await failed(replayed)

    assert failure.code == code
    assert failure.usage == TokenUsage(5, 2)


async def test_a_connection_lost_in_an_answer_is_a_cut(
    replay: ReplayServer, replayed: Providers
) -> None:
    replay.replies = [
        Reply(
            (sse({"response": "a"}),),
            content_type="text/event-stream",
            headers=[("cf-ray", "ray-1")],
            length=1000,
        )
    ]

    failure = await failed(replayed)

    assert (failure.code, failure.provider_request_id) == ("stream_cut", "ray-1")
    assert failure.usage == TokenUsage(5, 1)


async def test_a_server_that_is_not_there_is_a_connection_failure() -> None:
    providers = providers_at("http://127.0.0.1:1")

    failure = await failed(providers)
    await providers.aclose()

    assert (failure.code, failure.action) == ("connection", FailureAction.RETRY_HERE)


async def test_an_end_that_is_late_to_close_does_not_delay_the_answer(
    replay: ReplayServer, replayed: Providers
) -> None:
    replay.replies = [stream_reply(sse({"response": "a"}), NATIVE_END, hangs=True)]

    text, _ = await answer(replayed)

    assert text == "a"


async def test_keeping_silent_but_connected_is_no_progress(
    replay: ReplayServer, replayed: Providers
) -> None:
    comments = [b": keep alive\n\n"] * 3
    replay.replies = [stream_reply(sse({"response": "a"}), *comments, hangs=True)]

    failure = await failed(replayed)

    assert failure.code == "timeout_between_tokens"
    assert failure.usage == TokenUsage(5, 1)


async def test_cancelling_closes_the_connection(replay: ReplayServer, replayed: Providers) -> None:
    replay.replies = [stream_reply(sse({"response": "a"}), hangs=True)]
    has_begun = asyncio.Event()

    async def read() -> None:
        async for _ in replayed.chat[CLOUDFLARE].stream(CALL):
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
    replay.replies = [stream_reply(sse({"response": "a"}), hangs=True)]
    stream = replayed.chat[CLOUDFLARE].stream(CALL)

    assert await anext(stream) == TextDelta("a")
    assert isinstance(stream, AsyncGenerator)
    await stream.aclose()

    await wait_until(lambda: replay.connections_open == 0)
