"""Embeddings from OpenAI's models and from servers that have its API, through OpenAI's SDK.

The vectors are read from the raw answer: it holds them in the very bytes we keep, which the SDK
would turn into Python numbers first. Invariant: a call that reached the model is booked, also when
its answer was lost on the way.
"""

from collections.abc import Sequence
from dataclasses import replace

import openai
from openai import omit

from shared.domain.assumed_usage import assumed_tokens
from shared.domain.catalog import Operation
from shared.domain.provider_calls import EmbeddingAnswer, EmbeddingCall
from shared.domain.usage import TokenUsage
from shared.providers.errors import own_error
from shared.providers.json_reading import (
    JsonObject,
    MalformedAnswerError,
    count_of,
    decode_object,
    is_array,
    is_object,
    object_at,
    text_of,
)
from shared.providers.limits import Deadline, TimeLimits
from shared.providers.openai_errors import sdk_error
from shared.providers.openai_models import takes_dimensions
from shared.providers.openai_servers import OpenAIServer
from shared.providers.rate_reports import rate_report
from shared.providers.vectors import vectors_from_base64, vectors_from_numbers


class OpenAIEmbeddingModel:
    """Implements `EmbeddingModel`."""

    def __init__(self, server: OpenAIServer, limits: TimeLimits) -> None:
        self._server = server
        self._limits = limits

    async def embed(self, call: EmbeddingCall) -> EmbeddingAnswer:
        """Embed one batch.

        Raises:
            ProviderTransientError: The model failed or its answer is wrong.
            ProviderPermanentError: OpenAI says that the request is wrong.
        """
        deadline = Deadline(self._limits)
        try:
            async with deadline.waiting():
                response = await self._server.client.embeddings.with_raw_response.create(
                    input=list(call.texts),
                    model=call.model,
                    dimensions=call.dimensions if takes_dimensions(call.model) else omit,
                    encoding_format="base64" if self._server.encodes_vectors else "float",
                )
        except TimeoutError as error:
            raise own_error(self._server.provider, deadline.code, _assumed(call)) from error
        except openai.OpenAIError as error:
            raise self._server.own(sdk_error(error, Operation.EMBED)) from error
        answer = self._answer(call, response.content, response.request_id)
        return replace(answer, limits=rate_report(response.headers))

    def _answer(
        self, call: EmbeddingCall, content: bytes, request_id: str | None
    ) -> EmbeddingAnswer:
        usage = _assumed(call)
        try:
            body = decode_object(content)
            tokens = count_of(object_at(body, "usage").get("prompt_tokens"))
            usage = TokenUsage(tokens) if tokens else usage
            vectors = _vectors(body, call)
        except MalformedAnswerError as error:
            raise own_error(self._server.provider, "malformed", usage, request_id) from error
        model = text_of(body.get("model")) or call.model
        return EmbeddingAnswer(vectors, usage, model, request_id)


def _vectors(body: JsonObject, call: EmbeddingCall) -> Sequence[bytes]:
    items = body.get("data")
    objects = [item for item in items if is_object(item)] if is_array(items) else []
    objects.sort(key=lambda item: count_of(item.get("index")))
    rows = [item.get("embedding") for item in objects]
    encoded = [row for row in rows if isinstance(row, str)]
    if encoded:
        return vectors_from_base64(encoded, len(call.texts), call.dimensions)
    return vectors_from_numbers(rows, len(call.texts), call.dimensions)


def _assumed(call: EmbeddingCall) -> TokenUsage:
    return TokenUsage(sum(assumed_tokens(text) for text in call.texts), is_assumed=True)
