"""Embeddings from Workers AI's models.

Invariant: a call that reached the model is booked, also when its answer was lost on the way.
"""

from dataclasses import replace

import httpx

from shared.domain.assumed_usage import assumed_tokens
from shared.domain.catalog import CLOUDFLARE, Operation
from shared.domain.provider_calls import EmbeddingAnswer, EmbeddingCall
from shared.domain.usage import NO_USAGE, TokenUsage
from shared.providers.cloudflare_connection import (
    CloudflareConnection,
    refused,
    request_id_of,
    transport_code,
)
from shared.providers.cloudflare_requests import embedding_body
from shared.providers.cloudflare_shapes import usage_of
from shared.providers.errors import own_error
from shared.providers.json_reading import (
    JsonObject,
    MalformedAnswerError,
    decode_object,
    object_at,
    text_of,
)
from shared.providers.limits import Deadline, TimeLimits
from shared.providers.rate_reports import rate_report
from shared.providers.vectors import vectors_from_numbers

_PADDING_MODEL = "bge-m3"
_PROVIDER = CLOUDFLARE


class CloudflareEmbeddingModel:
    """Implements `EmbeddingModel`."""

    def __init__(self, connection: CloudflareConnection, limits: TimeLimits) -> None:
        self._connection = connection
        self._limits = limits

    async def embed(self, call: EmbeddingCall) -> EmbeddingAnswer:
        """Embed one batch.

        Raises:
            ProviderTransientError: The model failed or its answer is wrong; with the action
                `SPLIT` when the batch was over its token budget.
            ProviderPermanentError: Cloudflare says that the request is wrong.
        """
        deadline = Deadline(self._limits)
        request_id: str | None = None
        has_begun = False
        try:
            async with self._connection.post(
                Operation.EMBED, call, embedding_body(call), deadline
            ) as response:
                has_begun, limits = True, rate_report(response.headers)
                request_id = request_id_of(response)
                deadline.answered()
                async with deadline.waiting():
                    answer = decode_object(await response.aread())
                if answer.get("success") is False:
                    raise refused(Operation.EMBED, response, answer)
        except MalformedAnswerError as error:
            raise own_error(_PROVIDER, "malformed", _assumed(call), request_id) from error
        except TimeoutError as error:
            raise own_error(_PROVIDER, deadline.code, _assumed(call), request_id) from error
        except httpx.HTTPError as error:
            code = transport_code(error, has_begun=has_begun)
            usage = NO_USAGE if code == "connection" else _assumed(call)
            raise own_error(_PROVIDER, code, usage, request_id) from error
        return replace(_answer(call, object_at(answer, "result"), request_id), limits=limits)


def _answer(call: EmbeddingCall, result: JsonObject, request_id: str | None) -> EmbeddingAnswer:
    usage = usage_of(result) or _assumed(call)
    try:
        vectors = vectors_from_numbers(result.get("data"), len(call.texts), call.dimensions)
    except MalformedAnswerError as error:
        raise own_error(_PROVIDER, "malformed", usage, request_id) from error
    model_answered = text_of(result.get("model")) or call.model
    return EmbeddingAnswer(vectors, usage, model_answered, request_id)


def _assumed(call: EmbeddingCall) -> TokenUsage:
    """bge-m3 pads every text to the longest, and bills the padding."""
    lengths = [assumed_tokens(text) for text in call.texts]
    is_padded = _PADDING_MODEL in call.model
    tokens = max(lengths, default=0) * len(lengths) if is_padded else sum(lengths)
    return TokenUsage(tokens, is_assumed=True)
