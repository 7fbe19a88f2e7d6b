"""What every `ChatModel` keeps to: the fake, and both adapters against the simulator."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass

import pytest

from shared.domain.catalog import CLOUDFLARE, OPENAI
from shared.domain.errors import (
    FailureAction,
    ProviderFailure,
    ProviderPermanentError,
    ProviderTransientError,
)
from shared.domain.ids import AttemptId
from shared.domain.provider_calls import ChatCall, ChatFinished, ChatMessage, TextDelta
from shared.domain.usage import NO_USAGE
from shared.ports.providers import ChatModel
from shared.providers.registry import Providers
from tests.support.fake_providers import BreaksOff, ChatStep, Hangs, Refuses, ScriptedChatModel
from tests.support.local_providers import NO_THINKING, SimulatorClient

_OVER_RATE = ProviderFailure("3021", "over the rate", FailureAction.BACK_OFF)
_FAKE_STEP_BY_MODE: dict[str, ChatStep] = {
    "rate_limited": Refuses(_OVER_RATE),
    "cut_stream": BreaksOff("stream_cut", ("one", " two", " three")),
    "malformed": BreaksOff("malformed", ("one", " two", " three")),
    "empty": BreaksOff("empty_answer", ("",)),
    "stall": Hangs(("one", " two", " three")),
}


@dataclass(frozen=True, slots=True)
class ChatRig:
    """One model and the way to make it fail."""

    model: ChatModel
    call: ChatCall
    misbehave: Callable[[str], Awaitable[None]]


def _call(model: str) -> ChatCall:
    messages = [ChatMessage("system", "Be brief."), ChatMessage("user", "Say hello, please.")]
    return ChatCall(AttemptId("att_1"), model, messages, 256, options=NO_THINKING)


def _fake_rig() -> ChatRig:
    model = ScriptedChatModel()

    async def misbehave(mode: str) -> None:
        model.script = [_FAKE_STEP_BY_MODE[mode]]

    return ChatRig(model, _call("fake"), misbehave)


_MODELS = {
    "cloudflare-native": (CLOUDFLARE, "@cf/meta/llama-3.1-8b-instruct-fast"),
    "cloudflare-openai-like": (CLOUDFLARE, "@cf/google/gemma-4-26b-a4b-it"),
    "openai": (OPENAI, "gpt-6-luna"),
}


@pytest.fixture(params=["fake", *_MODELS])
def rig(
    request: pytest.FixtureRequest, simulated: Providers, simulator: SimulatorClient
) -> ChatRig:
    if request.param == "fake":
        return _fake_rig()
    provider, model = _MODELS[request.param]

    async def misbehave(mode: str) -> None:
        await simulator.misbehave(provider, mode=mode)

    return ChatRig(simulated.chat[provider], _call(model), misbehave)


async def _failure(rig: ChatRig) -> ProviderFailure:
    with pytest.raises((ProviderTransientError, ProviderPermanentError)) as caught:
        _ = [event async for event in rig.model.stream(rig.call)]
    error = caught.value
    assert isinstance(error, ProviderTransientError | ProviderPermanentError)
    return error.failure


async def test_an_answer_is_text_and_then_one_end(rig: ChatRig) -> None:
    *deltas, end = [event async for event in rig.model.stream(rig.call)]

    assert isinstance(end, ChatFinished)
    assert deltas
    assert all(isinstance(delta, TextDelta) and delta.text for delta in deltas)


async def test_the_end_tells_usage_reason_and_request(rig: ChatRig) -> None:
    *_, end = [event async for event in rig.model.stream(rig.call)]

    assert isinstance(end, ChatFinished)
    assert end.usage.input_tokens > 0
    assert end.usage.output_tokens > 0
    assert end.finish_reason == "stop"
    assert end.provider_request_id
    assert end.model_answered


async def test_a_refused_call_consumed_nothing(rig: ChatRig) -> None:
    await rig.misbehave("rate_limited")

    failure = await _failure(rig)

    assert failure.action is FailureAction.BACK_OFF
    assert failure.usage == NO_USAGE


@pytest.mark.parametrize(
    ("mode", "code"), [("cut_stream", "stream_cut"), ("malformed", "malformed")]
)
async def test_a_broken_answer_is_noticed_and_says_what_it_consumed(
    rig: ChatRig, mode: str, code: str
) -> None:
    await rig.misbehave(mode)

    failure = await _failure(rig)

    assert failure.code == code
    assert failure.usage.output_tokens == 3
    assert failure.usage.input_tokens > 0
    assert failure.provider_request_id


async def test_an_answer_without_text_is_a_failure(rig: ChatRig) -> None:
    await rig.misbehave("empty")

    failure = await _failure(rig)

    assert failure.code == "empty_answer"
    assert failure.usage.output_tokens > 0


async def test_closing_an_answer_early_leaves_the_model_usable(rig: ChatRig) -> None:
    stream = rig.model.stream(rig.call)
    assert isinstance(await anext(stream), TextDelta)
    assert isinstance(stream, AsyncGenerator)
    await stream.aclose()

    assert [event async for event in rig.model.stream(rig.call)]


async def test_a_cancelled_reader_is_not_kept_waiting(rig: ChatRig) -> None:
    await rig.misbehave("stall")
    has_begun = asyncio.Event()

    async def read() -> None:
        async for _ in rig.model.stream(rig.call):
            has_begun.set()

    reading = asyncio.create_task(read())
    async with asyncio.timeout(5):
        await has_begun.wait()
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
