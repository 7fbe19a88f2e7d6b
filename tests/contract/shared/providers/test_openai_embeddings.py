"""OpenAI's recorded embeddings, and what the adapter makes of them."""

import base64

import numpy as np
import orjson
import pytest

from shared.domain.catalog import OPENAI
from shared.domain.errors import (
    FailureAction,
    ProviderTransientError,
)
from shared.domain.ids import AttemptId
from shared.domain.provider_calls import (
    EmbeddingAnswer,
    EmbeddingCall,
)
from shared.domain.usage import TokenUsage
from shared.providers.registry import Providers
from tests.support.replay_server import ReplayServer, json_reply


async def _embed(providers: Providers, model: str = "text-embedding-3-small") -> EmbeddingAnswer:
    call = EmbeddingCall(AttemptId("a"), model, ["one two", "three"], 2)
    return await providers.embedding[OPENAI].embed(call)


def _encoded(*numbers: float) -> str:
    return base64.b64encode(np.array(numbers, "<f4").tobytes()).decode()


async def test_vectors_are_sorted_by_index(replay: ReplayServer, replayed: Providers) -> None:
    data = [
        {"index": 1, "embedding": _encoded(3, 4)},
        {"index": 0, "embedding": _encoded(1, 2)},
    ]
    replay.replies = [json_reply({"data": data, "usage": {"prompt_tokens": 4}})]

    answer = await _embed(replayed)

    assert [np.frombuffer(vector, "<f4").tolist() for vector in answer.vectors] == [[1, 2], [3, 4]]
    assert answer.usage == TokenUsage(4)
    assert orjson.loads(replay.requests[0].body) == {
        "model": "text-embedding-3-small",
        "input": ["one two", "three"],
        "dimensions": 2,
        "encoding_format": "base64",
    }


async def test_vectors_as_numbers_are_read_too(replay: ReplayServer, replayed: Providers) -> None:
    data = [{"index": 0, "embedding": [1, 2]}, {"index": 1, "embedding": [3, 4]}]
    replay.replies = [json_reply({"data": data})]

    answer = await _embed(replayed, "local-model")

    assert np.frombuffer(answer.vectors[1], "<f4").tolist() == [3, 4]
    assert answer.usage == TokenUsage(4)
    assert "dimensions" not in orjson.loads(replay.requests[0].body)


@pytest.mark.parametrize(
    "data",
    [
        [],
        None,
        [{"index": 0, "embedding": _encoded(1, 2)}],
        [{"index": 0, "embedding": _encoded(1)}, {"index": 1, "embedding": _encoded(1)}],
        [{"index": 0, "embedding": "?"}, {"index": 1, "embedding": "?"}],
        [{"index": 0, "embedding": "AAAAAAA="}, {"index": 1, "embedding": "AAAAAAA="}],
    ],
)
async def test_vectors_of_a_wrong_shape_are_malformed(
    replay: ReplayServer, replayed: Providers, data: object
) -> None:
    replay.replies = [json_reply({"data": data, "usage": {"prompt_tokens": 7}})]

    with pytest.raises(ProviderTransientError) as caught:
        await _embed(replayed)

    assert caught.value.failure.code == "malformed"
    assert caught.value.failure.usage == TokenUsage(7)


async def test_a_batch_with_too_many_tokens_asks_to_be_split(
    replay: ReplayServer, replayed: Providers
) -> None:
    replay.replies = [json_reply({"error": {"code": "max_tokens_per_request"}}, 400)]

    with pytest.raises(ProviderTransientError) as caught:
        await _embed(replayed)

    assert caught.value.failure.action is FailureAction.SPLIT
