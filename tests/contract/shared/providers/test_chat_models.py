"""What every `ChatModel` keeps to: the fake, all adapters against the simulator, and a further
provider's against a server that somebody else wrote.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass, replace

import pytest

from shared.domain.catalog import CLOUDFLARE, OPENAI, Provider
from shared.domain.errors import (
    FailureAction,
    ProviderFailure,
    ProviderPermanentError,
    ProviderTransientError,
)
from shared.domain.ids import AttemptId
from shared.domain.provider_calls import ChatCall, ChatFinished, ChatMessage, Meter, TextDelta
from shared.domain.usage import NO_USAGE
from shared.ports.providers import ChatModel
from shared.providers.limits import TimeLimits
from shared.providers.registry import Providers
from tests.support.fake_providers import BreaksOff, ChatStep, Hangs, Refuses, ScriptedChatModel
from tests.support.local_providers import LOCAL, NO_THINKING, SimulatorClient, compatible_server
from tests.support.other_server import ANSWERS, KEY, MODELS, OtherServer

_OVER_RATE = ProviderFailure("3021", "over the rate", FailureAction.BACK_OFF)
_FAKE_STEP_BY_MODE: dict[str, ChatStep] = {
    "rate_limited": Refuses(_OVER_RATE),
    "down": Refuses(ProviderFailure("http_503", "down", FailureAction.RETRY_HERE)),
    "unauthorized": Refuses(ProviderFailure("10000", "wrong", FailureAction.FALL_BACK)),
    "retired": Refuses(ProviderFailure("5028", "retired", FailureAction.FALL_BACK)),
    "cut_stream": BreaksOff("stream_cut", ("one", " two", " three")),
    "malformed": BreaksOff("malformed", ("one", " two", " three")),
    "empty": BreaksOff("empty_answer", ("",)),
    "stall": Hangs(("one", " two", " three")),
    "silent": Hangs(()),
}


@dataclass(slots=True)
class ChatRig:
    """One model and the way to make it fail; the call may change with it."""

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
    "compatible": (LOCAL, "gpt-6-luna"),
}
_SIMULATED_BY = {CLOUDFLARE: "cloudflare", OPENAI: "openai", LOCAL: "openai"}
_OTHER_SERVER = pytest.param(
    "other-server", marks=[pytest.mark.other_server, pytest.mark.timeout(1_200)]
)
_OTHER_LIMITS = TimeLimits()


@pytest.fixture(params=["fake", *_MODELS, _OTHER_SERVER])
async def rig(
    request: pytest.FixtureRequest, simulated: Providers, simulator: SimulatorClient
) -> AsyncGenerator[ChatRig]:
    match request.param:
        case "fake":
            yield _fake_rig()
        case "other-server":
            server: OtherServer = request.getfixturevalue("other_server")
            providers = compatible_server(server.base_url, KEY, _OTHER_LIMITS)
            yield _other_rig(providers)
            await providers.aclose()
        case _:
            yield _simulated_rig(simulated, simulator, *_MODELS[request.param])


def _simulated_rig(
    providers: Providers, simulator: SimulatorClient, provider: Provider, model: str
) -> ChatRig:
    async def misbehave(mode: str) -> None:
        await simulator.misbehave(_SIMULATED_BY[provider], mode=mode)

    return ChatRig(providers.chat[provider], _call(model), misbehave)


def _other_rig(providers: Providers) -> ChatRig:
    async def misbehave(mode: str) -> None:
        if mode not in MODELS:
            pytest.skip(f"the other server cannot be made to be {mode}")
        other.call = _call(mode)

    other = ChatRig(providers.chat[LOCAL], _call(ANSWERS), misbehave)
    return other


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


async def test_a_failure_of_the_server_asks_to_try_again(rig: ChatRig) -> None:
    await rig.misbehave("down")

    failure = await _failure(rig)

    assert failure.action is FailureAction.RETRY_HERE
    assert failure.usage == NO_USAGE


async def test_credentials_that_are_refused_lead_to_the_next_candidate(rig: ChatRig) -> None:
    await rig.misbehave("unauthorized")

    failure = await _failure(rig)

    assert failure.action is FailureAction.FALL_BACK


async def test_a_model_that_is_not_there_leads_to_the_next_candidate(rig: ChatRig) -> None:
    await rig.misbehave("retired")

    failure = await _failure(rig)

    assert failure.action is FailureAction.FALL_BACK


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


async def test_an_answer_that_is_closed_early_tells_what_it_may_have_consumed(
    rig: ChatRig,
) -> None:
    """Nobody knows how much of it was on its way."""
    meter = Meter()
    stream = rig.model.stream(replace(rig.call, meter=meter))
    assert isinstance(await anext(stream), TextDelta)
    assert isinstance(stream, AsyncGenerator)
    await stream.aclose()

    assert meter.usage.input_tokens > 0
    assert (meter.usage.output_tokens, meter.usage.is_assumed) == (256, True)
    assert meter.provider_request_id


async def test_a_cancelled_call_tells_what_it_may_have_consumed(rig: ChatRig) -> None:
    await rig.misbehave("stall")
    meter, has_begun = Meter(), asyncio.Event()

    async def read() -> None:
        async for _ in rig.model.stream(replace(rig.call, meter=meter)):
            has_begun.set()

    reading = asyncio.create_task(read())
    async with asyncio.timeout(5):
        await has_begun.wait()
        reading.cancel()
        await asyncio.wait([reading])

    assert (meter.usage.output_tokens, meter.usage.is_assumed) == (256, True)
    assert meter.usage.input_tokens > 0
    assert meter.provider_request_id


async def test_a_call_that_is_closed_before_its_first_token_consumed_nothing(rig: ChatRig) -> None:
    await rig.misbehave("silent")
    meter, is_called = Meter(), asyncio.Event()

    async def read() -> None:
        is_called.set()
        async for _ in rig.model.stream(replace(rig.call, meter=meter)):
            raise AssertionError("nobody said a word")

    reading = asyncio.create_task(read())
    async with asyncio.timeout(5):
        await is_called.wait()
        reading.cancel()
        await asyncio.wait([reading])

    assert meter.usage == NO_USAGE
