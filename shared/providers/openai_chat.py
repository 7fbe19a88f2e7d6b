"""Chat with OpenAI's models, through its SDK.

The SDK hides what goes wrong inside a stream: it ends silently when the terminator is missing or
the answer was no stream at all, and it does not check what a chunk holds. Invariant: a stream ends
with `ChatFinished` or with a provider error that carries what was consumed.
"""

from collections.abc import AsyncGenerator, Generator, Iterable
from contextlib import contextmanager

import openai
from openai import AsyncOpenAI, AsyncStream, omit
from openai.types.chat import ChatCompletionChunk, ChatCompletionMessageParam
from openai.types.completion_usage import CompletionUsage

from shared.domain.catalog import OPENAI, Operation
from shared.domain.provider_calls import ChatCall, ChatEvent, ChatMessage, TextDelta
from shared.domain.usage import TokenUsage
from shared.providers.answer_progress import AnswerProgress
from shared.providers.limits import Deadline, TimeLimits
from shared.providers.openai_errors import sdk_error
from shared.providers.openai_models import takes_temperature
from shared.providers.request_options import with_options

_USUAL_TIER = "default"
_UNREADABLE = (AttributeError, TypeError, ValueError)


class OpenAIChatModel:
    """Implements `ChatModel`."""

    def __init__(self, client: AsyncOpenAI, limits: TimeLimits) -> None:
        self._client = client
        self._limits = limits

    async def stream(self, call: ChatCall) -> AsyncGenerator[ChatEvent]:
        """Yield one `TextDelta` per token, then `ChatFinished`.

        Raises:
            ProviderTransientError: The model failed, stalled, or its answer was cut.
            ProviderPermanentError: OpenAI says that the request is wrong.
        """
        progress = AnswerProgress(OPENAI, call)
        deadline = Deadline(self._limits)
        with _translated(progress, deadline):
            async with deadline.waiting():
                stream = await self._open(call)
            async with stream:
                _check_headers(stream, progress)
                async for text in _streamed(stream, progress, deadline):
                    yield TextDelta(text)
            yield progress.finished()

    async def _open(self, call: ChatCall) -> AsyncStream[ChatCompletionChunk]:
        has_temperature = call.temperature is not None and takes_temperature(call.model)
        return await self._client.chat.completions.create(
            model=call.model,
            messages=_messages(call.messages),
            max_completion_tokens=call.max_output_tokens,
            temperature=call.temperature if has_temperature else omit,
            stream=True,
            stream_options={"include_usage": True},
            extra_body=with_options({}, call.options),
        )


def _messages(messages: Iterable[ChatMessage]) -> list[ChatCompletionMessageParam]:
    return [_message(one) for one in messages]


def _message(message: ChatMessage) -> ChatCompletionMessageParam:
    match message.role:
        case "system":
            return {"role": "system", "content": message.content}
        case "developer":
            return {"role": "developer", "content": message.content}
        case "assistant":
            return {"role": "assistant", "content": message.content}
        case _:
            return {"role": "user", "content": message.content}


def _check_headers(stream: AsyncStream[ChatCompletionChunk], progress: AnswerProgress) -> None:
    headers = stream.response.headers
    progress.request_id = headers.get("x-request-id")
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
    if chunk.choices:
        choice = chunk.choices[0]
        if choice.delta.content:
            progress.add_text(choice.delta.content)
        progress.finish_reason = choice.finish_reason or progress.finish_reason
    if chunk.service_tier not in {None, _USUAL_TIER}:
        progress.service_tier = chunk.service_tier
    if chunk.usage:
        progress.report(_usage(chunk.usage, progress.service_tier))


def _usage(usage: CompletionUsage, service_tier: str | None) -> TokenUsage:
    details = usage.prompt_tokens_details
    return TokenUsage(
        usage.prompt_tokens,
        usage.completion_tokens,
        cached_tokens=(details and details.cached_tokens) or 0,
        cache_write_tokens=(details and details.cache_write_tokens) or 0,
        service_tier=service_tier,
    )


@contextmanager
def _translated(progress: AnswerProgress, deadline: Deadline) -> Generator[None]:
    try:
        yield
    except TimeoutError as error:
        raise progress.failed(deadline.code) from error
    except openai.OpenAIError as error:
        raise sdk_error(error, Operation.CHAT, progress.consumed(), progress.request_id) from error
    except _UNREADABLE as error:
        raise progress.failed("malformed") from error
