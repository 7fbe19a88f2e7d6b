"""Each way in which a provider fails, as the adapters report it, and as it is billed."""

from dataclasses import replace

import pytest

from shared.domain.catalog import CLOUDFLARE, OPENAI, Provider
from shared.domain.errors import (
    FailureAction,
    ProviderFailure,
    ProviderPermanentError,
    ProviderTransientError,
)
from shared.domain.ids import AttemptId
from shared.domain.provider_calls import ChatCall, ChatFinished, ChatMessage
from shared.domain.usage import TokenUsage
from shared.providers.registry import Providers
from tests.support.local_providers import LOCAL, NO_THINKING, SimulatorClient

_NATIVE = (CLOUDFLARE, "@cf/meta/llama-3.1-8b-instruct-fast")
_OPENAI_LIKE = (CLOUDFLARE, "@cf/google/gemma-4-26b-a4b-it")
_OPENAI = (OPENAI, "gpt-6-luna")
_COMPATIBLE = (LOCAL, "gpt-6-luna")
_SIMULATED_BY = {CLOUDFLARE: "cloudflare", OPENAI: "openai", LOCAL: "openai"}
_BREAKING = [
    ("cut_stream", "stream_cut", FailureAction.RETRY_HERE),
    ("stall", "timeout_between_tokens", FailureAction.RETRY_HERE),
    ("malformed", "malformed", FailureAction.FALL_BACK),
    ("empty", "empty_answer", FailureAction.FALL_BACK),
]
_PROMPT = "Tell me about naïve queues — and gates."


def _call(model: str) -> ChatCall:
    messages = [ChatMessage("user", _PROMPT)]
    return ChatCall(AttemptId("att_1"), model, messages, 256, options=NO_THINKING)


async def _failure(providers: Providers, provider: Provider, model: str) -> ProviderFailure:
    with pytest.raises((ProviderTransientError, ProviderPermanentError)) as caught:
        _ = [event async for event in providers.chat[provider].stream(_call(model))]
    error = caught.value
    assert isinstance(error, ProviderTransientError | ProviderPermanentError)
    assert "naïve" not in str(error)
    assert error.failure.message.startswith(f"{provider}: ")
    return error.failure


@pytest.mark.parametrize(
    ("target", "mode", "code", "action"),
    [
        (_NATIVE, "down", "http_503", FailureAction.RETRY_HERE),
        (_NATIVE, "unauthorized", "10000", FailureAction.FALL_BACK),
        (_NATIVE, "rate_limited", "3021", FailureAction.BACK_OFF),
        (_NATIVE, "no_capacity", "3040", FailureAction.BACK_OFF),
        (_NATIVE, "quota", "3036", FailureAction.STOP_UNTIL_MIDNIGHT),
        (_NATIVE, "retired", "5028", FailureAction.FALL_BACK),
        (_OPENAI, "down", "server_error", FailureAction.RETRY_HERE),
        (_OPENAI, "unauthorized", "invalid_api_key", FailureAction.FALL_BACK),
        (_OPENAI, "rate_limited", "rate_limit_exceeded", FailureAction.BACK_OFF),
        (_OPENAI, "no_capacity", "server_is_overloaded", FailureAction.RETRY_HERE),
        (_OPENAI, "quota", "insufficient_quota", FailureAction.FALL_BACK),
        (_OPENAI, "retired", "model_not_found", FailureAction.FALL_BACK),
        (_COMPATIBLE, "down", "server_error", FailureAction.RETRY_HERE),
        (_COMPATIBLE, "unauthorized", "invalid_api_key", FailureAction.FALL_BACK),
        (_COMPATIBLE, "rate_limited", "rate_limit_exceeded", FailureAction.BACK_OFF),
        (_COMPATIBLE, "no_capacity", "server_is_overloaded", FailureAction.RETRY_HERE),
        (_COMPATIBLE, "quota", "insufficient_quota", FailureAction.FALL_BACK),
        (_COMPATIBLE, "retired", "model_not_found", FailureAction.FALL_BACK),
    ],
)
async def test_a_refusal_is_neither_billed_nor_booked(
    simulated: Providers,
    simulator: SimulatorClient,
    target: tuple[Provider, str],
    mode: str,
    code: str,
    action: FailureAction,
) -> None:
    await simulator.misbehave(_SIMULATED_BY[target[0]], mode=mode)

    failure = await _failure(simulated, *target)

    assert (failure.code, failure.action) == (code, action)
    assert failure.usage.is_empty
    assert failure.provider_request_id
    assert await simulator.billed() == []


@pytest.mark.parametrize("target", [_NATIVE, _OPENAI_LIKE, _OPENAI, _COMPATIBLE])
@pytest.mark.parametrize(("mode", "code", "action"), _BREAKING)
async def test_a_broken_answer_is_booked_as_it_was_billed(
    simulated: Providers,
    simulator: SimulatorClient,
    target: tuple[Provider, str],
    mode: str,
    code: str,
    action: FailureAction,
) -> None:
    await simulator.misbehave(_SIMULATED_BY[target[0]], mode=mode, after_chunks=5)

    failure = await _failure(simulated, *target)

    assert (failure.code, failure.action) == (code, action)
    assert await simulator.billed() == [
        (failure.provider_request_id, replace(failure.usage, neurons=None))
    ]


@pytest.mark.parametrize("target", [_NATIVE, _OPENAI_LIKE, _OPENAI, _COMPATIBLE])
async def test_an_answer_that_broke_before_its_first_token_is_free(
    simulated: Providers, simulator: SimulatorClient, target: tuple[Provider, str]
) -> None:
    await simulator.misbehave(_SIMULATED_BY[target[0]], mode="stall", after_chunks=0)

    failure = await _failure(simulated, *target)

    assert failure.code == "timeout_first_token"
    assert failure.usage.is_empty
    assert await simulator.billed() == []


@pytest.mark.parametrize("target", [_NATIVE, _OPENAI_LIKE, _OPENAI, _COMPATIBLE])
async def test_a_whole_answer_is_booked_as_it_was_billed(
    simulated: Providers, simulator: SimulatorClient, target: tuple[Provider, str]
) -> None:
    *_, end = [event async for event in simulated.chat[target[0]].stream(_call(target[1]))]

    assert isinstance(end, ChatFinished)
    usage = TokenUsage(end.usage.input_tokens, end.usage.output_tokens)
    assert await simulator.billed() == [(end.provider_request_id, usage)]


async def test_openai_is_asked_again_no_sooner_than_it_wants(
    simulated: Providers, simulator: SimulatorClient
) -> None:
    await simulator.misbehave("openai", mode="rate_limited")

    failure = await _failure(simulated, *_OPENAI)

    assert failure.retry_after
    assert failure.retry_after.total_seconds() == 1
