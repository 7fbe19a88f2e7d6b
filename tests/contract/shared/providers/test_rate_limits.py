"""What is left of a provider's limits is reported beside each answer."""

from dataclasses import replace
from datetime import timedelta

import pytest

from shared.domain.catalog import CLOUDFLARE, OPENAI, Provider
from shared.domain.ids import AttemptId
from shared.domain.provider_calls import ChatCall, ChatFinished, ChatMessage, EmbeddingCall
from shared.domain.rate_limits import RateReport
from shared.providers.registry import Providers
from tests.support.local_providers import LOCAL
from tests.support.replay_server import ReplayServer, Reply, json_reply

_HEADERS = [("x-ratelimit-remaining-requests", "7"), ("x-ratelimit-reset-requests", "1s")]
_REPORT = RateReport(remaining_requests=7, requests_reset_in=timedelta(seconds=1))
_STREAM = (
    b'data: {"response":"x","model":"m","choices":[{"index":0,"delta":{"content":"x"},'
    b'"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
)


@pytest.mark.parametrize("provider", [CLOUDFLARE, OPENAI, LOCAL])
@pytest.mark.parametrize(("headers", "report"), [(_HEADERS, _REPORT), ([], None)])
async def test_beside_a_chat(
    replay: ReplayServer,
    replayed: Providers,
    provider: Provider,
    headers: list[tuple[str, str]],
    report: RateReport | None,
) -> None:
    replay.replies = [Reply((_STREAM,), content_type="text/event-stream", headers=headers)]
    call = ChatCall(AttemptId("a"), "m", [ChatMessage("user", "hi")], 64)

    *_, end = [event async for event in replayed.chat[provider].stream(call)]

    assert isinstance(end, ChatFinished)
    assert end.limits == report


@pytest.mark.parametrize("provider", [CLOUDFLARE, OPENAI, LOCAL])
async def test_beside_vectors(
    replay: ReplayServer, replayed: Providers, provider: Provider
) -> None:
    data = [[1, 2]] if provider == CLOUDFLARE else [{"index": 0, "embedding": [1, 2]}]
    body = {"result": {"data": data}, "success": True, "data": data}
    replay.replies = [replace(json_reply(body), headers=_HEADERS)]

    answer = await replayed.embedding[provider].embed(EmbeddingCall(AttemptId("a"), "m", ["x"], 2))

    assert answer.limits == _REPORT
