"""Workers AI's recorded embeddings (captured or documented 2026-08 to 2026-10)."""

from decimal import Decimal

import numpy as np
import orjson
import pytest

from shared.domain.catalog import CLOUDFLARE
from shared.domain.errors import (
    ProviderTransientError,
)
from shared.domain.ids import AttemptId
from shared.domain.provider_calls import (
    EmbeddingAnswer,
    EmbeddingCall,
)
from shared.domain.usage import NO_USAGE, TokenUsage
from shared.providers.registry import Providers
from tests.support.replay_server import ReplayServer, Reply, json_reply


async def _embed(providers: Providers, texts: int = 2, dimensions: int = 3) -> EmbeddingAnswer:
    call = EmbeddingCall(AttemptId("a"), "@cf/baai/bge-m3", ["one two"] * texts, dimensions)
    return await providers.embedding[CLOUDFLARE].embed(call)


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
    assert orjson.loads(replay.requests[0].body) == {
        "text": ["one two", "one two"],
        "options": {"rejectIfBusy": True},
    }


async def test_a_bulk_batch_waits_for_a_busy_model(
    replay: ReplayServer, replayed: Providers
) -> None:
    replay.replies = [json_reply({"result": {"data": [[1, 2, 3]]}, "success": True})]
    call = EmbeddingCall(AttemptId("a"), "@cf/baai/bge-m3", ["one"], 3, is_interactive=False)

    await replayed.embedding[CLOUDFLARE].embed(call)

    assert orjson.loads(replay.requests[0].body) == {"text": ["one"]}


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
        (
            Reply((b"{",), length=9, headers=[("cf-ray", "r")]),
            "stream_cut",
            TokenUsage(4, is_assumed=True),
        ),
        (Reply((b"{",), hangs=True), "timeout_total", TokenUsage(4, is_assumed=True)),
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
