"""Models that answer as a test says; they pass the same contract suite as the real adapters."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Generator, Iterable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np

from shared.domain.assumed_usage import assumed_prompt_tokens, assumed_tokens
from shared.domain.catalog import CLOUDFLARE, Provider
from shared.domain.errors import ProviderFailure
from shared.domain.provider_calls import (
    ChatCall,
    ChatEvent,
    ChatFinished,
    EmbeddingAnswer,
    EmbeddingCall,
    TextDelta,
    ToolCall,
)
from shared.domain.usage import NO_USAGE, TokenUsage
from shared.providers.errors import own_error, provider_error


@dataclass(frozen=True, slots=True)
class Says:
    """Answers with these pieces, a token each."""

    pieces: Sequence[str] = ("Hello", " world")
    finish_reason: str = "stop"
    tool_calls: tuple[ToolCall, ...] = ()


@dataclass(frozen=True, slots=True)
class Refuses:
    """Fails before the first token, or before any vector."""

    failure: ProviderFailure


@dataclass(frozen=True, slots=True)
class BreaksOff:
    """Fails with one of our own codes after these pieces."""

    code: str = "stream_cut"
    pieces: Sequence[str] = ("Hello",)


@dataclass(frozen=True, slots=True)
class Hangs:
    """Sends these pieces and then nothing, until it is closed or cancelled."""

    pieces: Sequence[str] = ("Hello",)


@dataclass(frozen=True, slots=True)
class Waits:
    """Does nothing until the time has come, and then what the step says."""

    time: asyncio.Event
    step: "Says | Refuses | BreaksOff | Hangs"


StepT = TypeVar("StepT")
ChatStep = Says | Refuses | BreaksOff | Hangs | Waits


@dataclass(slots=True)
class ScriptedChatModel:
    """Implements `ChatModel`: takes the next step of its script; the last one is repeated.

    Attributes:
        calls: Every call, in order.
        streams_open: How many answers have begun and neither ended nor been closed.
    """

    script: Iterable[ChatStep] = ()
    provider: Provider = CLOUDFLARE
    calls: list[ChatCall] = field(default_factory=list[ChatCall])
    streams_open: int = 0

    async def stream(self, call: ChatCall) -> AsyncGenerator[ChatEvent]:
        """Yield what the next step says."""
        step = _step(list(self.script), len(self.calls), Says())
        self.calls.append(call)
        request_id = f"request-{len(self.calls)}"
        usage = NO_USAGE
        with self._open(call, lambda: (usage, request_id)):
            if isinstance(step, Waits):
                await step.time.wait()
                step = step.step
            if isinstance(step, Refuses):
                raise provider_error(step.failure)
            prompt_tokens = assumed_prompt_tokens(call.messages)
            for number, piece in enumerate(step.pieces, start=1):
                usage = TokenUsage(prompt_tokens, number)
                yield TextDelta(piece)
            match step:
                case Says(finish_reason=reason, tool_calls=calls):
                    usage = TokenUsage(prompt_tokens, len(step.pieces))
                    yield ChatFinished(reason, usage, call.model, request_id, calls)
                case BreaksOff(code=code):
                    raise own_error(self.provider, code, usage, request_id)
                case Hangs():
                    await asyncio.Event().wait()

    @contextmanager
    def _open(
        self, call: ChatCall, consumed: Callable[[], tuple[TokenUsage, str]]
    ) -> Generator[None]:
        self.streams_open += 1
        try:
            yield
        except (GeneratorExit, asyncio.CancelledError):
            usage, request_id = consumed()
            if call.meter is not None:
                most = TokenUsage(usage.input_tokens, call.max_output_tokens, is_assumed=True)
                call.meter.read(most if usage.output_tokens else usage, request_id)
            raise
        finally:
            self.streams_open -= 1


@dataclass(slots=True)
class ScriptedEmbeddingModel:
    """Implements `EmbeddingModel`: `None` in the script is an answer, the last step is repeated."""

    script: Iterable[Refuses | None] = ()
    calls: list[EmbeddingCall] = field(default_factory=list[EmbeddingCall])

    async def embed(self, call: EmbeddingCall) -> EmbeddingAnswer:
        """Return a vector per text, the same for the same text."""
        step = _step(list(self.script), len(self.calls), None)
        self.calls.append(call)
        if step is not None:
            raise provider_error(step.failure)
        usage = TokenUsage(sum(assumed_tokens(text) for text in call.texts))
        vectors = [_vector(text, call.dimensions) for text in call.texts]
        return EmbeddingAnswer(vectors, usage, call.model, f"request-{len(self.calls)}")


def _step(script: Sequence[StepT], number: int, default: StepT) -> StepT:
    return script[min(number, len(script) - 1)] if script else default


def _vector(text: str, dimensions: int) -> bytes:
    repeated = np.resize(np.frombuffer(text.encode() or b"\0", dtype=np.uint8), dimensions)
    return repeated.astype("<f4").tobytes()
