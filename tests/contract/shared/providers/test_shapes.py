"""Every shape that providers are known to send, from `shapes/` (values invented, names real)."""

import base64
import re
from decimal import Decimal
from pathlib import Path

import numpy as np
import orjson
import pytest

from shared.domain.catalog import CLOUDFLARE, OPENAI, Provider
from shared.domain.errors import (
    FailureAction,
    ProviderFailure,
    ProviderPermanentError,
    ProviderTransientError,
)
from shared.domain.ids import AttemptId
from shared.domain.provider_calls import (
    ChatCall,
    ChatFinished,
    ChatMessage,
    EmbeddingCall,
    TextDelta,
)
from shared.domain.usage import TokenUsage
from shared.providers.registry import Providers
from tests.support.local_providers import LOCAL
from tests.support.replay_server import ReplayServer, Reply, stream_reply

_SHAPES = Path(__file__).with_name("shapes")
_WIDTH = 1024


def _shape(name: str) -> bytes:
    return (_SHAPES / name).read_bytes()


def _filled(name: str) -> bytes:
    """Return an embedding's shape with its placeholders replaced by vectors."""
    numbers = orjson.dumps([0.25] * _WIDTH)
    encoded = base64.b64encode(np.full(_WIDTH, 0.25, "<f4").tobytes())
    content = _shape(name).replace(b'"<1024 floats>"', numbers)
    return re.sub(rb"<base64 [^>]*>", encoded, content)


async def _answered(providers: Providers, provider: Provider) -> tuple[str, ChatFinished]:
    call = ChatCall(AttemptId("a"), "model", [ChatMessage("user", "hi")], 256)
    *deltas, end = [event async for event in providers.chat[provider].stream(call)]
    assert isinstance(end, ChatFinished)
    return "".join(delta.text for delta in deltas if isinstance(delta, TextDelta)), end


async def _failure(providers: Providers, provider: Provider) -> ProviderFailure:
    with pytest.raises((ProviderTransientError, ProviderPermanentError)) as caught:
        await _answered(providers, provider)
    assert isinstance(caught.value, ProviderTransientError | ProviderPermanentError)
    return caught.value.failure


@pytest.mark.parametrize(
    ("name", "text", "reason", "usage"),
    [
        ("cf_run_chat_native.json", "hello", "stop", TokenUsage(12, 3)),
        ("cf_run_chat_openai_like.json", "hello", "stop", TokenUsage(147, 16, Decimal("1.772727"))),
        ("cf_run_chat_both_shapes.json", '{"a": 1}', "stop", TokenUsage(779, 187)),
        ("cf_run_json_mode_object.json", '{"k":"v"}', "stop", TokenUsage(30, 8)),
        ("cf_run_prompt_mode.json", "...", "length", TokenUsage(17, 256)),
    ],
)
async def test_a_whole_answer_of_cloudflare(
    replay: ReplayServer, replayed: Providers, name: str, text: str, reason: str, usage: TokenUsage
) -> None:
    replay.replies = [Reply((_shape(name),))]

    content, end = await _answered(replayed, CLOUDFLARE)

    assert (content, end.finish_reason, end.usage) == (text, reason, usage)
    assert end.tool_calls == ()


@pytest.mark.parametrize("data", [b"data: ", b"data:"])
@pytest.mark.parametrize(
    ("name", "provider", "expected"),
    [
        ("cf_stream_native.sse", CLOUDFLARE, ("Hello", TokenUsage(12, 2))),
        (
            "cf_stream_openai_like.sse",
            CLOUDFLARE,
            ("Hi", TokenUsage(147, 2, Decimal("1.390908"))),
        ),
        ("openai_stream.sse", OPENAI, ("Hi", TokenUsage(8, 1))),
        ("openai_stream.sse", LOCAL, ("Hi", TokenUsage(8, 1))),
    ],
)
async def test_a_stream_with_and_without_spaces(
    replay: ReplayServer,
    replayed: Providers,
    data: bytes,
    name: str,
    provider: Provider,
    expected: tuple[str, TokenUsage],
) -> None:
    replay.replies = [stream_reply(_shape(name).replace(b"data: ", data))]

    content, end = await _answered(replayed, provider)

    assert (content, end.usage) == expected
    assert end.finish_reason == "stop"


@pytest.mark.parametrize(
    ("name", "provider", "model"),
    [
        ("cf_run_bge_m3.json", CLOUDFLARE, "@cf/baai/bge-m3"),
        ("cf_run_qwen3_embedding.json", CLOUDFLARE, "@cf/qwen/qwen3-embedding-0.6b"),
        ("openai_embeddings_base64.json", OPENAI, "text-embedding-3-small"),
        ("openai_embeddings_base64.json", LOCAL, "text-embedding-3-small"),
    ],
)
async def test_vectors(
    replay: ReplayServer, replayed: Providers, name: str, provider: Provider, model: str
) -> None:
    content = _filled(name)
    replay.replies = [Reply((content,))]
    vectors = content.count(b'"embedding":') or content.count(b"[0.25")
    call = EmbeddingCall(AttemptId("a"), model, ["text"] * vectors, _WIDTH)

    answer = await replayed.embedding[provider].embed(call)

    assert [np.frombuffer(one, "<f4")[0] for one in answer.vectors] == [0.25] * vectors
    assert answer.usage.input_tokens > 0


@pytest.mark.parametrize(
    ("name", "provider", "action"),
    [
        ("cf_aig_error_2045_http429.json", CLOUDFLARE, FailureAction.FALL_BACK),
        ("cf_error_10000_http401.json", CLOUDFLARE, FailureAction.FALL_BACK),
        ("cf_error_3021_http429.json", CLOUDFLARE, FailureAction.BACK_OFF),
        ("cf_error_3030_http400.json", CLOUDFLARE, FailureAction.FALL_BACK),
        ("cf_error_3036_http429.json", CLOUDFLARE, FailureAction.STOP_UNTIL_MIDNIGHT),
        ("cf_error_3040_http429.json", CLOUDFLARE, FailureAction.BACK_OFF),
        ("cf_error_5021_http413.json", CLOUDFLARE, FailureAction.FALL_BACK),
        ("cf_error_5028_http410.json", CLOUDFLARE, FailureAction.FALL_BACK),
        ("openai_error_404_model.json", OPENAI, FailureAction.FALL_BACK),
        ("openai_error_429_quota.json", OPENAI, FailureAction.FALL_BACK),
        ("openai_error_429_rate.json", OPENAI, FailureAction.BACK_OFF),
        ("openai_error_429_rate.json", LOCAL, FailureAction.BACK_OFF),
    ],
)
async def test_an_error_is_told_by_its_code(
    replay: ReplayServer, replayed: Providers, name: str, provider: Provider, action: FailureAction
) -> None:
    status = re.search(r"(?:http|error_)(\d{3})(?:\.|_)", name)
    assert status is not None
    replay.replies = [Reply((_shape(name),), int(status[1]))]

    failure = await _failure(replayed, provider)

    assert failure.action is action
    assert failure.usage.is_empty


def test_every_shape_is_tried() -> None:
    tried = Path(__file__).read_text("utf-8")

    assert [shape.name for shape in _SHAPES.iterdir() if f'"{shape.name}"' not in tried] == []
