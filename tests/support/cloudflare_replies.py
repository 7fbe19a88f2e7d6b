"""What Workers AI sends, and how its chat adapter takes it, for tests of the adapter."""

import orjson
import pytest

from shared.domain.catalog import CLOUDFLARE
from shared.domain.errors import (
    ProviderFailure,
    ProviderPermanentError,
    ProviderTransientError,
)
from shared.domain.ids import AttemptId
from shared.domain.provider_calls import (
    ChatCall,
    ChatEvent,
    ChatFinished,
    ChatMessage,
    TextDelta,
)
from shared.providers.registry import Providers

CALL = ChatCall(AttemptId("att_1"), "@cf/meta/m", [ChatMessage("user", "word")], 64, 0.5)
DONE = b"data: [DONE]\n\n"
USAGE = {"prompt_tokens": 12, "completion_tokens": 3, "total_tokens": 15}
NATIVE_END = b'data: {"response":"","usage":{"prompt_tokens":12,"completion_tokens":2}}\n\n' + DONE


def sse(value: object) -> bytes:
    """Return one server-sent event."""
    return b"data: " + orjson.dumps(value) + b"\n\n"


def chunk(delta: object, finish_reason: str | None = None, **more: object) -> bytes:
    """Return one chunk of the newer dialect."""
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    return sse({"model": "@cf/meta/m-external", "choices": [choice], "p": "pad", **more})


def counts(prompt: int, completion: int, neurons: float) -> dict[str, float]:
    """Return usage as Cloudflare writes it."""
    return {"prompt_tokens": prompt, "completion_tokens": completion, "neurons": neurons}


async def events(providers: Providers, call: ChatCall = CALL) -> list[ChatEvent]:
    """Return everything a chat call yields."""
    return [event async for event in providers.chat[CLOUDFLARE].stream(call)]


async def answer(providers: Providers, call: ChatCall = CALL) -> tuple[str, ChatFinished]:
    """Return the whole text and the end of a chat call."""
    *deltas, end = await events(providers, call)
    assert isinstance(end, ChatFinished)
    return "".join(delta.text for delta in deltas if isinstance(delta, TextDelta)), end


async def failed(providers: Providers) -> ProviderFailure:
    """Return how a chat call fails."""
    with pytest.raises((ProviderTransientError, ProviderPermanentError)) as caught:
        await events(providers)
    error = caught.value
    assert isinstance(error, ProviderTransientError | ProviderPermanentError)
    return error.failure
