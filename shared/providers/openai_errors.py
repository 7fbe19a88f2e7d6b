"""Turns the OpenAI SDK's exceptions into our provider errors.

The SDK's tree, of which every leaf is mapped:

    OpenAIError
    ├── APIError                        an error in the middle of a stream
    │   ├── APIResponseValidationError  malformed
    │   ├── APIStatusError              by status and code
    │   └── APIConnectionError          connection, or stream_cut once the answer has begun
    │       └── APITimeoutError         connection: only connecting has a limit inside the SDK
    └── others                          malformed; none of them is raised by the calls we make

Invariant: nothing of the SDK leaves `shared.providers`.
"""

import openai

from shared.domain.catalog import OPENAI, Operation
from shared.domain.errors import ProviderPermanentError, ProviderTransientError
from shared.domain.usage import NO_USAGE, TokenUsage
from shared.providers.errors import Refusal, own_error, refusal_error

_PROVIDER = OPENAI


def sdk_error(
    error: openai.OpenAIError,
    operation: Operation,
    usage: TokenUsage = NO_USAGE,
    request_id: str | None = None,
) -> ProviderTransientError | ProviderPermanentError:
    """Return our error for one of the SDK.

    Args:
        error: What the SDK raised.
        operation: What was asked.
        usage: What the call had consumed.
        request_id: The id of a request whose answer has begun.
    """
    match error:
        case openai.APIStatusError():
            return refusal_error(_refusal_of(error, operation), usage)
        case openai.APIConnectionError():
            code = "connection" if request_id is None else "stream_cut"
            return own_error(_PROVIDER, code, usage, request_id)
        case openai.APIResponseValidationError():
            return own_error(_PROVIDER, "malformed", usage, request_id)
        case openai.APIError():
            codes = (error.code, error.type)
            refusal = Refusal(_PROVIDER, operation, None, codes, request_id=request_id)
            return refusal_error(refusal, usage)
        case _:
            return own_error(_PROVIDER, "malformed", usage, request_id)


def _refusal_of(error: openai.APIStatusError, operation: Operation) -> Refusal:
    return Refusal(
        provider=_PROVIDER,
        operation=operation,
        status=error.status_code,
        codes=(error.code, error.type),
        headers=error.response.headers,
        request_id=error.request_id,
    )
