"""What every `EmbeddingModel` keeps to: the fake, and all adapters against the simulator."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

import numpy as np
import pytest

from shared.domain.catalog import CLOUDFLARE, OPENAI, Provider
from shared.domain.errors import FailureAction, ProviderFailure, ProviderTransientError
from shared.domain.ids import AttemptId
from shared.domain.provider_calls import EmbeddingCall
from shared.domain.usage import NO_USAGE
from shared.ports.providers import EmbeddingModel
from shared.providers.limits import TimeLimits
from shared.providers.registry import Providers
from tests.support.fake_providers import Refuses, ScriptedEmbeddingModel
from tests.support.local_providers import LOCAL, SimulatorClient, compatible_server
from tests.support.other_server import KEY, VECTORS, OtherServer

_OVER_RATE = ProviderFailure("3021", "over the rate", FailureAction.BACK_OFF)
_TEXTS = ("queues hold work", "gates hold money", "queues hold work")


@dataclass(frozen=True, slots=True)
class EmbeddingRig:
    """One model and the way to make it refuse."""

    model: EmbeddingModel
    call: EmbeddingCall
    refuse: Callable[[], Awaitable[None]]


_MODELS = {
    "cloudflare-bge": (CLOUDFLARE, "@cf/baai/bge-m3", 1024),
    "cloudflare-qwen": (CLOUDFLARE, "@cf/qwen/qwen3-embedding-0.6b", 1024),
    "openai": (OPENAI, "text-embedding-3-small", 512),
    "openai-unsized": (OPENAI, "text-embedding-ada-002", 1536),
    "compatible": (LOCAL, "text-embedding-3-small", 512),
}


@pytest.fixture(params=["fake", *_MODELS])
def rig(
    request: pytest.FixtureRequest, simulated: Providers, simulator: SimulatorClient
) -> EmbeddingRig:
    if request.param == "fake":
        model = ScriptedEmbeddingModel()

        async def refuse_fake() -> None:
            model.script = [Refuses(_OVER_RATE)]

        return EmbeddingRig(
            model, EmbeddingCall(AttemptId("att_1"), "fake", _TEXTS, 8), refuse_fake
        )
    provider, name, dimensions = _MODELS[request.param]

    async def refuse() -> None:
        await simulator.misbehave(_simulated_by(provider), mode="rate_limited")

    call = EmbeddingCall(AttemptId("att_1"), name, _TEXTS, dimensions)
    return EmbeddingRig(simulated.embedding[provider], call, refuse)


def _simulated_by(provider: Provider) -> str:
    return "openai" if provider == LOCAL else provider


async def test_vectors_are_little_endian_float32_in_the_order_of_the_texts(
    rig: EmbeddingRig,
) -> None:
    answer = await rig.model.embed(rig.call)

    first, second, third = [np.frombuffer(vector, dtype="<f4") for vector in answer.vectors]
    assert first.shape == (rig.call.dimensions,)
    assert np.array_equal(first, third)
    assert not np.array_equal(first, second)


async def test_an_answer_tells_usage_and_model(rig: EmbeddingRig) -> None:
    answer = await rig.model.embed(rig.call)

    assert answer.usage.input_tokens > 0
    assert answer.usage.output_tokens == 0
    assert answer.model_answered == rig.call.model
    assert answer.provider_request_id


async def test_a_refused_batch_consumed_nothing(rig: EmbeddingRig) -> None:
    await rig.refuse()

    with pytest.raises(ProviderTransientError) as caught:
        await rig.model.embed(rig.call)

    assert caught.value.failure.action is FailureAction.BACK_OFF
    assert caught.value.failure.usage == NO_USAGE


async def test_a_batch_over_the_padded_budget_asks_to_be_split(simulated: Providers) -> None:
    call = EmbeddingCall(
        AttemptId("att_1"), "@cf/baai/bge-m3", ["short"] * 99 + ["word " * 700], 1024
    )

    with pytest.raises(ProviderTransientError) as caught:
        await simulated.embedding[CLOUDFLARE].embed(call)

    assert caught.value.failure.code == "3030"
    assert caught.value.failure.action is FailureAction.SPLIT


@pytest.mark.parametrize("provider", [CLOUDFLARE, OPENAI, LOCAL])
@pytest.mark.parametrize(
    ("mode", "code"),
    [
        ("malformed", "malformed"),
        ("empty", "malformed"),
        ("stall", "timeout_first_token"),
    ],
)
async def test_a_lost_answer_is_booked_as_it_was_billed(
    simulated: Providers, simulator: SimulatorClient, provider: Provider, mode: str, code: str
) -> None:
    name = "@cf/baai/bge-m3" if provider == CLOUDFLARE else "text-embedding-3-small"
    texts = ["one", "two longer words", "three words of unequal lengths"]
    await simulator.misbehave(_simulated_by(provider), mode=mode)

    with pytest.raises(ProviderTransientError) as caught:
        await simulated.embedding[provider].embed(
            EmbeddingCall(AttemptId("att_1"), name, texts, 1024)
        )

    failure = caught.value.failure
    assert failure.code == code
    ((_, billed),) = await simulator.billed()
    assert replace(failure.usage, neurons=None, is_assumed=False) == billed


@pytest.mark.other_server
@pytest.mark.timeout(1_200)
async def test_a_server_that_is_not_ours_embeds(other_server: OtherServer) -> None:
    providers = compatible_server(other_server.base_url, KEY, TimeLimits())

    answer = await providers.embedding[LOCAL].embed(
        EmbeddingCall(AttemptId("att_1"), VECTORS, ["one"], 3)
    )
    await providers.aclose()

    assert np.frombuffer(answer.vectors[0], dtype="<f4").tolist() == [0.5, 0.25, -1.0]
    assert answer.usage.input_tokens > 0
