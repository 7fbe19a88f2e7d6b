"""What servers with OpenAI's API do otherwise than OpenAI (vLLM, Ollama, llama.cpp, LiteLLM)."""

from collections.abc import AsyncGenerator

import numpy as np
import orjson
import pytest

from shared.domain.catalog import OPENAI, Provider
from shared.domain.errors import FailureAction, ProviderFailure, ProviderTransientError
from shared.domain.ids import AttemptId
from shared.domain.provider_calls import (
    ChatCall,
    ChatFinished,
    ChatMessage,
    EmbeddingCall,
    TextDelta,
)
from shared.domain.routes import Server
from shared.domain.usage import NO_USAGE, TokenUsage
from shared.providers.registry import FurtherServers, Providers, build_providers
from shared.settings import CloudflareSettings, OpenAISettings, ProviderKeySettings
from tests.support.local_providers import LOCAL, providers_at
from tests.support.replay_server import ReplayServer, Reply, json_reply, replay_server, stream_reply

_CALL = ChatCall(AttemptId("att_1"), "mistral", [ChatMessage("user", "word")], 64, 0.5)
_OTHER = Provider("other")


def _chunk(delta: object, finish_reason: str | None = None, **more: object) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    return b"data: " + orjson.dumps({"model": "mistral", "choices": [choice], **more}) + b"\n\n"


_ANSWER = stream_reply(_chunk({"content": "x"}, "stop"), b"data: [DONE]\n\n")


async def _answered(
    providers: Providers, provider: Provider = LOCAL, call: ChatCall = _CALL
) -> tuple[str, ChatFinished]:
    *deltas, end = [event async for event in providers.chat[provider].stream(call)]
    assert isinstance(end, ChatFinished)
    return "".join(delta.text for delta in deltas if isinstance(delta, TextDelta)), end


async def _failure(providers: Providers, provider: Provider = LOCAL) -> ProviderFailure:
    with pytest.raises(ProviderTransientError) as caught:
        await _answered(providers, provider)
    return caught.value.failure


@pytest.fixture
async def second() -> AsyncGenerator[ReplayServer]:
    async with replay_server() as server:
        yield server


def _two(first_url: str, second_url: str) -> Providers:
    return build_providers(
        CloudflareSettings.model_validate(
            {"CLOUDFLARE_ACCOUNT_ID": "none", "CLOUDFLARE_API_TOKEN": "none"}
        ),
        OpenAISettings.model_validate({"OPENAI_API_KEY": "openai-key"}),
        further=FurtherServers(
            {LOCAL: Server(f"{first_url}/v1"), _OTHER: Server(f"{second_url}/api")},
            ProviderKeySettings.model_validate({"SLUICEWAY_PROVIDER_KEYS": "local=local-key"}),
        ),
    )


async def test_a_request_names_the_limit_that_every_server_knows(
    replay: ReplayServer, replayed: Providers
) -> None:
    replay.replies = [_ANSWER]

    await _answered(replayed)

    assert replay.requests[0].path == "/v1/chat/completions"
    assert orjson.loads(replay.requests[0].body) == {
        "model": "mistral",
        "messages": [{"role": "user", "content": "word"}],
        "stream": True,
        "stream_options": {"include_usage": True},
        "max_tokens": 64,
        "temperature": 0.5,
    }


async def test_a_server_may_want_the_newer_limit(replay: ReplayServer) -> None:
    replay.replies = [_ANSWER]
    server = Server(f"{replay.url}/v1", max_tokens_field="max_completion_tokens")
    providers = providers_at(replay.url, server=server)

    await _answered(providers)
    await providers.aclose()

    body = orjson.loads(replay.requests[0].body)
    assert body["max_completion_tokens"] == 64
    assert "max_tokens" not in body


async def test_each_server_has_its_own_address_and_key(
    replay: ReplayServer, second: ReplayServer
) -> None:
    replay.replies, second.replies = [_ANSWER], [_ANSWER]
    providers = _two(replay.url, second.url)

    await _answered(providers, LOCAL)
    await _answered(providers, _OTHER)
    await providers.aclose()

    assert replay.requests[0].headers["authorization"] == "Bearer local-key"
    assert second.requests[0].path == "/api/chat/completions"
    assert second.requests[0].headers["authorization"] == "Bearer none"


async def test_a_server_that_is_away_fails_alone(replay: ReplayServer) -> None:
    replay.replies = [_ANSWER]
    providers = _two(replay.url, "http://no-such-host.invalid:1")

    failure = await _failure(providers, _OTHER)
    text, _ = await _answered(providers, LOCAL)
    await providers.aclose()

    assert (failure.code, failure.action) == ("connection", FailureAction.RETRY_HERE)
    assert failure.message.startswith("other: ")
    assert text == "x"


async def test_an_answer_without_usage_request_id_and_terminator_is_counted(
    replay: ReplayServer, replayed: Providers
) -> None:
    replay.replies = [stream_reply(_chunk({"content": "a"}), _chunk({"content": "b"}, "stop"))]

    text, end = await _answered(replayed)

    assert text == "ab"
    assert end == ChatFinished("stop", TokenUsage(5, 2), "mistral", None)


async def test_an_answer_without_a_request_id_is_known_by_its_own(
    replay: ReplayServer, replayed: Providers
) -> None:
    replay.replies = [stream_reply(_chunk({"content": "a"}, "stop", id="chatcmpl-1"))]

    _, end = await _answered(replayed)

    assert end.provider_request_id == "chatcmpl-1"


@pytest.mark.parametrize(
    "usage", [{}, {"prompt_tokens": None, "completion_tokens": None}, {"total_tokens": 9}]
)
async def test_a_usage_that_says_nothing_is_none(
    replay: ReplayServer, replayed: Providers, usage: dict[str, object]
) -> None:
    replay.replies = [stream_reply(_chunk({"content": "a"}, "stop", usage=usage))]

    _, end = await _answered(replayed)

    assert end.usage == TokenUsage(5, 1)


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning"])
async def test_thinking_is_counted_and_not_shown(
    replay: ReplayServer, replayed: Providers, name: str
) -> None:
    replay.replies = [stream_reply(_chunk({name: "hm"}), _chunk({"content": "a"}, "stop"))]

    text, end = await _answered(replayed)

    assert text == "a"
    assert end.usage.output_tokens == 2


async def test_a_refusal_in_words_is_the_answer(replay: ReplayServer, replayed: Providers) -> None:
    replay.replies = [stream_reply(_chunk({"refusal": "I can't."}, "stop"))]

    text, _ = await _answered(replayed)

    assert text == "I can't."


async def test_an_answer_cut_off_without_a_request_id_is_a_cut_all_the_same(
    replay: ReplayServer, replayed: Providers
) -> None:
    cut = Reply((_chunk({"content": "a"}),), content_type="text/event-stream", length=9_999)
    replay.replies = [cut]

    failure = await _failure(replayed)

    assert failure.code == "stream_cut"
    assert failure.usage == TokenUsage(5, 1)


@pytest.mark.parametrize(
    ("status", "body", "code", "action"),
    [
        (
            400,
            {"error": {"message": "x", "type": "BadRequestError", "param": None, "code": 400}},
            "400",
            FailureAction.FALL_BACK,
        ),
        (
            400,
            {"object": "error", "message": "too long", "type": "BadRequestError", "code": 400},
            "400",
            FailureAction.FALL_BACK,
        ),
        (
            404,
            {"error": {"message": "model 'x' not found", "type": "api_error", "code": None}},
            "api_error",
            FailureAction.FALL_BACK,
        ),
        (
            503,
            {"error": {"code": 503, "message": "Loading model", "type": "unavailable_error"}},
            "503",
            FailureAction.RETRY_HERE,
        ),
        (
            429,
            {"error": {"message": "x", "type": "throttling_error", "code": "429"}},
            "429",
            FailureAction.BACK_OFF,
        ),
        (422, {"detail": [{"msg": "x"}]}, "http_422", FailureAction.FALL_BACK),
        (404, {"detail": "Not Found"}, "http_404", FailureAction.FALL_BACK),
    ],
)
async def test_errors_of_other_servers_are_read(
    replay: ReplayServer,
    replayed: Providers,
    status: int,
    body: object,
    code: str,
    action: FailureAction,
) -> None:
    replay.replies = [json_reply(body, status)]

    failure = await _failure(replayed)

    assert (failure.code, failure.action, failure.usage) == (code, action, NO_USAGE)
    assert failure.message.startswith("local: ")


async def test_an_error_in_the_middle_of_an_answer_is_the_servers(
    replay: ReplayServer, replayed: Providers
) -> None:
    broken = b'data: {"error":{"message":"x","type":"InternalServerError","code":500}}\n\n'
    replay.replies = [stream_reply(_chunk({"content": "a"}), broken)]

    failure = await _failure(replayed)

    assert failure.message.startswith("local: ")
    assert failure.usage == TokenUsage(5, 1)


async def test_vectors_are_asked_for_as_numbers(replay: ReplayServer, replayed: Providers) -> None:
    data = [{"index": 0, "embedding": [1.5, 2]}]
    replay.replies = [json_reply({"data": data, "model": "m", "usage": {"prompt_tokens": 2}})]
    call = EmbeddingCall(AttemptId("a"), "nomic-embed-text", ["one"], 2)

    answer = await replayed.embedding[LOCAL].embed(call)

    assert np.frombuffer(answer.vectors[0], "<f4").tolist() == [1.5, 2]
    assert orjson.loads(replay.requests[0].body) == {
        "model": "nomic-embed-text",
        "input": ["one"],
        "encoding_format": "float",
    }


async def test_openais_own_rules_stay_openais(replay: ReplayServer, replayed: Providers) -> None:
    replay.replies = [json_reply({"error": {"code": "context_length_exceeded"}}, 400)]

    failure = await _failure(replayed, OPENAI)

    assert failure.action is FailureAction.FALL_BACK
    assert failure.message.startswith("openai: ")
