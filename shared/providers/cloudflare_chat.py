"""Chat with Workers AI's models.

Invariant: a stream ends with `ChatFinished` or with a provider error that carries what was
consumed; closing it early closes the connection at once, so that the model stops.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Generator
from contextlib import contextmanager, suppress

import httpx

from shared.domain.catalog import CLOUDFLARE, Operation
from shared.domain.provider_calls import ChatCall, ChatEvent, TextDelta
from shared.providers.answer_progress import AnswerProgress
from shared.providers.cloudflare_connection import (
    CloudflareConnection,
    refused,
    request_id_of,
    transport_code,
)
from shared.providers.cloudflare_requests import chat_body
from shared.providers.cloudflare_shapes import read_event, read_whole
from shared.providers.json_reading import MalformedAnswerError, decode_object, is_object
from shared.providers.limits import Deadline, TimeLimits
from shared.providers.rate_reports import rate_report
from shared.providers.sse import EventSplitter

_DRAIN_SECONDS = 0.05


class CloudflareChatModel:
    """Implements `ChatModel`."""

    def __init__(self, connection: CloudflareConnection, limits: TimeLimits) -> None:
        self._connection = connection
        self._limits = limits

    async def stream(self, call: ChatCall) -> AsyncGenerator[ChatEvent]:
        """Yield one `TextDelta` per network read, then `ChatFinished`.

        An answer in JSON mode comes as one `TextDelta`, since Workers AI cannot stream it.

        Raises:
            ProviderTransientError: The model failed, stalled, or its answer was cut.
            ProviderPermanentError: Cloudflare says that the request is wrong.
        """
        progress = AnswerProgress(CLOUDFLARE, call, is_whole=call.response_format is not None)
        deadline = Deadline(self._limits)
        if progress.is_whole:
            deadline.answered()
        with _translated(progress, deadline):
            async with self._connection.post(
                Operation.CHAT, call, chat_body(call), deadline
            ) as response:
                progress.has_begun = True
                progress.request_id = request_id_of(response)
                progress.limits = rate_report(response.headers)
                texts = _streamed if _is_stream(response) else _whole
                progress.is_whole &= texts is _whole
                async for text in texts(response, progress, deadline):
                    yield TextDelta(text)
            yield progress.finished()


def _is_stream(response: httpx.Response) -> bool:
    content_type: str = response.headers.get("content-type", "")
    return content_type.startswith("text/event-stream")


async def _streamed(
    response: httpx.Response, progress: AnswerProgress, deadline: Deadline
) -> AsyncGenerator[str]:
    chunks = response.aiter_bytes()
    splitter = EventSplitter()
    while not progress.is_ended:
        tokens_before = progress.tokens
        async with deadline.waiting():
            chunk = await anext(chunks, None)
        for data in splitter.end() if chunk is None else splitter.feed(chunk):
            read_event(data, progress)
        if progress.tokens > tokens_before:
            deadline.progressed()
        if text := progress.take_text():
            yield text
        if chunk is None:
            return
    await _drain(chunks)


async def _drain(chunks: AsyncIterator[bytes]) -> None:
    """Read the end of the body, which is due, so that the connection can be used again."""
    with suppress(TimeoutError, httpx.HTTPError):
        async with asyncio.timeout(_DRAIN_SECONDS):
            async for _ in chunks:
                pass


async def _whole(
    response: httpx.Response, progress: AnswerProgress, deadline: Deadline
) -> AsyncGenerator[str]:
    async with deadline.waiting():
        body = decode_object(await response.aread())
    result = body.get("result")
    if body.get("success") is False:
        raise refused(Operation.CHAT, response, body)
    read_whole(result if is_object(result) else body, progress)
    if text := progress.take_text():
        yield text


@contextmanager
def _translated(progress: AnswerProgress, deadline: Deadline) -> Generator[None]:
    try:
        yield
    except (GeneratorExit, asyncio.CancelledError):
        progress.left()
        raise
    except MalformedAnswerError as error:
        raise progress.failed("malformed") from error
    except TimeoutError as error:
        progress.has_begun = True  # a model that answers in one piece is silent while it works
        raise progress.failed(deadline.code) from error
    except httpx.HTTPError as error:
        raise progress.failed(transport_code(error, has_begun=progress.has_begun)) from error
