"""Chat with OpenAI's models and with servers that have its API, through OpenAI's SDK.

The SDK hides what goes wrong inside a stream: it ends silently when the terminator is missing or
the answer was no stream at all, and it does not check what a chunk holds. Invariant: a stream ends
with `ChatFinished` or with a provider error that carries what was consumed.
"""

import asyncio
from collections.abc import AsyncGenerator, Generator
from contextlib import contextmanager

import openai
from openai import AsyncStream
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.chat.chat_completion_chunk import Choice
from openai.types.completion_usage import CompletionUsage

from shared.domain.catalog import Operation
from shared.domain.provider_calls import ChatCall, ChatEvent, TextDelta
from shared.domain.usage import TokenUsage
from shared.providers.answer_progress import AnswerProgress
from shared.providers.limits import Deadline, TimeLimits
from shared.providers.openai_errors import sdk_error
from shared.providers.openai_requests import chat_body
from shared.providers.openai_servers import OpenAIServer
from shared.providers.rate_reports import rate_report

_USUAL_TIER = "default"
_REASONING = ("reasoning_content", "reasoning")
"""What other servers call a token that the model only thinks."""
_UNREADABLE = (AttributeError, TypeError, ValueError)


class OpenAIChatModel:
    """Implements `ChatModel`."""

    def __init__(self, server: OpenAIServer, limits: TimeLimits) -> None:
        self._server = server
        self._limits = limits

    async def stream(self, call: ChatCall) -> AsyncGenerator[ChatEvent]:
        """Yield one `TextDelta` per token, then `ChatFinished`.

        Raises:
            ProviderTransientError: The model failed, stalled, or its answer was cut.
            ProviderPermanentError: OpenAI says that the request is wrong.
        """
        progress = AnswerProgress(self._server.provider, call)
        deadline = Deadline(self._limits)
        with _translated(progress, deadline, self._server):
            async with deadline.waiting():
                stream = await self._open(call)
            async with stream:
                _read_headers(stream, progress)
                async for text in _streamed(stream, progress, deadline):
                    yield TextDelta(text)
            yield progress.finished()

    async def _open(self, call: ChatCall) -> AsyncStream[ChatCompletionChunk]:
        return await self._server.client.post(
            "/chat/completions",
            cast_to=ChatCompletion,
            body=chat_body(call, self._server.max_tokens_field),
            stream=True,
            stream_cls=AsyncStream[ChatCompletionChunk],
        )


def _read_headers(stream: AsyncStream[ChatCompletionChunk], progress: AnswerProgress) -> None:
    headers = stream.response.headers
    progress.has_begun = True
    progress.request_id = headers.get("x-request-id")
    progress.limits = rate_report(headers)
    if not headers.get("content-type", "").startswith("text/event-stream"):
        raise progress.failed("malformed")


async def _streamed(
    stream: AsyncStream[ChatCompletionChunk], progress: AnswerProgress, deadline: Deadline
) -> AsyncGenerator[str]:
    while True:
        tokens_before = progress.tokens
        async with deadline.waiting():
            chunk = await anext(stream, None)
        if chunk is None:
            return
        _read_chunk(chunk, progress)
        if progress.tokens > tokens_before:
            deadline.progressed()
        if text := progress.take_text():
            yield text


def _read_chunk(chunk: ChatCompletionChunk, progress: AnswerProgress) -> None:
    progress.model_answered = progress.model_answered or chunk.model
    progress.request_id = progress.request_id or chunk.id
    if chunk.choices:
        _read_choice(chunk.choices[0], progress)
    if chunk.service_tier not in {None, _USUAL_TIER}:
        progress.service_tier = chunk.service_tier
    if chunk.usage:
        progress.report(_usage(chunk.usage, progress.service_tier))


def _read_choice(choice: Choice, progress: AnswerProgress) -> None:
    delta = choice.delta
    if text := delta.content or delta.refusal:
        progress.add_text(text)
    elif delta.tool_calls:
        progress.add_tool_calls([piece.to_dict() for piece in delta.tool_calls])
    elif any((delta.model_extra or {}).get(name) for name in _REASONING):
        progress.add_reasoning()
    progress.finish_reason = choice.finish_reason or progress.finish_reason


def _usage(usage: CompletionUsage, service_tier: str | None) -> TokenUsage:
    details = usage.prompt_tokens_details
    return TokenUsage(
        usage.prompt_tokens or 0,
        usage.completion_tokens or 0,
        cached_tokens=(details and details.cached_tokens) or 0,
        cache_write_tokens=(details and details.cache_write_tokens) or 0,
        service_tier=service_tier,
    )


@contextmanager
def _translated(
    progress: AnswerProgress, deadline: Deadline, server: OpenAIServer
) -> Generator[None]:
    try:
        yield
    except (GeneratorExit, asyncio.CancelledError):
        progress.left()
        raise
    except TimeoutError as error:
        raise progress.failed(deadline.code) from error
    except openai.APIConnectionError as error:
        raise progress.failed("stream_cut" if progress.has_begun else "connection") from error
    except openai.OpenAIError as error:
        told = sdk_error(error, Operation.CHAT, progress.consumed(), progress.request_id)
        raise server.own(told) from error
    except _UNREADABLE as error:
        raise progress.failed("malformed") from error
