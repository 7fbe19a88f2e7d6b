"""Answers in JSON: how each API is asked for one, and that none is lost unbooked."""

import orjson
import pytest

from shared.domain.catalog import CLOUDFLARE, OPENAI, Provider
from shared.domain.errors import FailureAction, ProviderFailure, ProviderTransientError
from shared.domain.ids import AttemptId
from shared.domain.provider_calls import (
    AnswerSchema,
    ChatCall,
    ChatFinished,
    ChatMessage,
    JsonAnswer,
    TextDelta,
)
from shared.domain.usage import NO_USAGE, TokenUsage
from shared.providers.registry import Providers
from tests.support.local_providers import LOCAL, SimulatorClient
from tests.support.replay_server import ReplayServer, Reply, json_reply, stream_reply

_SCHEMA = {"type": "object", "properties": {"sky": {"type": "string"}}}
_WRAPPED = {"type": "json_schema", "json_schema": {"name": "weather", "schema": _SCHEMA}}
_ANY = JsonAnswer()
_WEATHER = JsonAnswer(AnswerSchema("weather", _SCHEMA))
_LLAMA = "@cf/meta/llama-3.1-8b-instruct-fast"
_GEMMA = "@cf/google/gemma-4-26b-a4b-it"
_ASKED = [ChatMessage("user", "Tell the weather as JSON.")]
_CHUNK = {"id": "c", "object": "chat.completion.chunk", "model": "m"}


def _call(wanted: JsonAnswer, model: str = _LLAMA) -> ChatCall:
    return ChatCall(AttemptId("a"), model, _ASKED, 64, response_format=wanted)


def _answers(provider: Provider) -> Reply:
    if provider == CLOUDFLARE:
        return json_reply({"result": {"response": {"sky": "blue"}}, "success": True})
    choice = {"index": 0, "delta": {"content": '{"sky":"blue"}'}, "finish_reason": "stop"}
    return stream_reply(b"data: " + orjson.dumps(_CHUNK | {"choices": [choice]}) + b"\n\n")


async def _answered(
    providers: Providers, provider: Provider, call: ChatCall
) -> tuple[list[str], ChatFinished]:
    *deltas, end = [event async for event in providers.chat[provider].stream(call)]
    assert isinstance(end, ChatFinished)
    return [delta.text for delta in deltas if isinstance(delta, TextDelta)], end


async def _failure(providers: Providers, call: ChatCall) -> ProviderFailure:
    with pytest.raises(ProviderTransientError) as caught:
        await _answered(providers, CLOUDFLARE, call)
    return caught.value.failure


@pytest.mark.parametrize(
    ("provider", "model", "wanted", "sent"),
    [
        (CLOUDFLARE, _LLAMA, _ANY, {"type": "json_object"}),
        (CLOUDFLARE, _LLAMA, _WEATHER, {"type": "json_schema", "json_schema": _SCHEMA}),
        (CLOUDFLARE, _GEMMA, _WEATHER, _WRAPPED),
        (OPENAI, "gpt-6-luna", _ANY, {"type": "json_object"}),
        (OPENAI, "gpt-6-luna", _WEATHER, _WRAPPED),
        (LOCAL, "mistral", _WEATHER, _WRAPPED),
    ],
)
async def test_a_request_says_what_the_answer_must_be(
    replay: ReplayServer,
    replayed: Providers,
    provider: Provider,
    model: str,
    wanted: JsonAnswer,
    sent: object,
) -> None:
    replay.replies = [_answers(provider)]

    texts, _ = await _answered(replayed, provider, _call(wanted, model))

    body = orjson.loads(replay.requests[0].body)
    assert "".join(texts) == '{"sky":"blue"}'
    assert body["response_format"] == sent
    assert body["stream"] is (provider != CLOUDFLARE)


async def test_the_schemas_description_and_strictness_go_along(
    replay: ReplayServer, replayed: Providers
) -> None:
    replay.replies = [_answers(OPENAI)]
    wanted = JsonAnswer(AnswerSchema("weather", _SCHEMA, "The sky.", strict=True))

    await _answered(replayed, OPENAI, _call(wanted))

    sent = orjson.loads(replay.requests[0].body)["response_format"]["json_schema"]
    assert (sent["description"], sent["strict"]) == ("The sky.", True)


@pytest.mark.parametrize("model", [_LLAMA, _GEMMA, "@cf/meta/llama-3.3-70b-instruct-fp8-fast"])
async def test_a_whole_json_answer_is_booked_as_it_was_billed(
    simulated: Providers, simulator: SimulatorClient, model: str
) -> None:
    texts, end = await _answered(simulated, CLOUDFLARE, _call(_WEATHER, model))

    assert isinstance(orjson.loads("".join(texts)), dict)
    usage = TokenUsage(end.usage.input_tokens, end.usage.output_tokens)
    assert await simulator.billed() == [(end.provider_request_id, usage)]


async def test_a_model_may_be_silent_while_it_works_on_a_whole_answer(
    simulated: Providers, simulator: SimulatorClient
) -> None:
    beyond_the_first_token = 700
    await simulator.misbehave("cloudflare", latency_ms=beyond_the_first_token)

    texts, _ = await _answered(simulated, CLOUDFLARE, _call(_ANY))

    assert texts


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (Reply((b'{"resu',), length=100), "stream_cut"),
        (Reply((b"<html>",)), "malformed"),
        (Reply((b"{",), hangs=True), "timeout_total"),
        (Reply(hangs=True, length=9), "timeout_total"),
    ],
)
async def test_a_whole_answer_that_was_lost_is_booked_at_the_most_it_can_have_been(
    replay: ReplayServer, replayed: Providers, reply: Reply, code: str
) -> None:
    replay.replies = [reply]

    failure = await _failure(replayed, _call(_ANY))

    assert failure.code == code
    assert failure.usage.output_tokens == 64
    assert failure.usage.input_tokens > 0


@pytest.mark.parametrize(
    ("reply", "code", "action"),
    [
        (json_reply({"errors": [{"code": 5025}]}, 400), "5025", FailureAction.FALL_BACK),
        (
            json_reply({"success": False, "errors": [{"code": 5006}]}),
            "5006",
            FailureAction.FALL_BACK,
        ),
        (Reply((b"down",), 503), "http_503", FailureAction.RETRY_HERE),
        (
            json_reply({"result": {"response": None}, "success": True}),
            "empty_answer",
            FailureAction.FALL_BACK,
        ),
    ],
)
async def test_json_that_was_refused_costs_nothing(
    replay: ReplayServer, replayed: Providers, reply: Reply, code: str, action: FailureAction
) -> None:
    replay.replies = [reply]

    failure = await _failure(replayed, _call(_ANY))

    assert (failure.code, failure.action, failure.usage) == (code, action, NO_USAGE)


async def test_a_stream_that_nobody_asked_for_is_read_all_the_same(
    replay: ReplayServer, replayed: Providers
) -> None:
    replay.replies = [stream_reply(b'data: {"response":"{}"}\n\ndata: {"response":"x"}\n\n')]

    failure = await _failure(replayed, _call(_ANY))

    assert failure.code == "stream_cut"
    assert failure.usage.output_tokens == 2
