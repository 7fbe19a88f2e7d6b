"""OpenAI's error answers.

Invariant: `code` tells speed from money, and only money says `x-should-retry: false`.
"""

from simulator.control import Mode
from simulator.json_values import JsonObject
from simulator.refusal import InvalidRequestError, RefusalError

_RETRY_SOON = [(b"retry-after", b"1"), (b"retry-after-ms", b"1000")]
_NEVER_RETRY = [(b"x-should-retry", b"false")]


def unauthorized() -> RefusalError:
    """Return the answer to a missing or wrong key."""
    return _failure(401, "Incorrect API key provided.", "invalid_request_error", "invalid_api_key")


def no_route(method: str, path: str) -> RefusalError:
    """Return the answer to a path that does not exist."""
    return _failure(404, f"Invalid URL ({method} {path})", "invalid_request_error", None)


def unknown_model(model: str) -> RefusalError:
    """Return the answer to a model that does not exist or was shut down."""
    message = f"The model `{model}` does not exist or you do not have access to it."
    return _failure(404, message, "invalid_request_error", "model_not_found")


def invalid(error: InvalidRequestError) -> RefusalError:
    """Return the answer to a request that cannot be read."""
    payload: JsonObject = {
        "error": {
            "message": str(error),
            "type": "invalid_request_error",
            "param": error.param,
            "code": "invalid_value",
        },
    }
    return RefusalError(400, payload)


def over_window(tokens: int, limit: int) -> RefusalError:
    """Return the answer to a request longer than the model's window."""
    message = f"This model's maximum context length is {limit} tokens, you asked for {tokens}."
    return _failure(400, message, "invalid_request_error", "context_length_exceeded")


def fault(mode: Mode, model: str) -> RefusalError | None:
    """Return the answer of a mode that refuses every call, None for the others."""
    match mode:
        case Mode.DOWN:
            refusal = _failure(503, "The server had an error.", "server_error", None)
        case Mode.UNAUTHORIZED:
            refusal = unauthorized()
        case Mode.RATE_LIMITED:
            refusal = _failure(
                429, f"Rate limit reached for {model}.", "requests", "rate_limit_exceeded"
            )
            refusal.headers.extend(_RETRY_SOON)
        case Mode.NO_CAPACITY:
            kind, code = "service_unavailable_error", "server_is_overloaded"
            refusal = _failure(503, "The server is overloaded, try again later.", kind, code)
        case Mode.QUOTA:
            message = "You exceeded your current quota, please check your plan and billing details."
            refusal = _failure(429, message, "insufficient_quota", "insufficient_quota")
            refusal.headers.extend(_NEVER_RETRY)
        case Mode.RETIRED:
            refusal = unknown_model(model)
        case _:
            return None
    return refusal


def _failure(status: int, message: str, kind: str, code: str | None) -> RefusalError:
    payload: JsonObject = {"error": {"message": message, "type": kind, "param": None, "code": code}}
    return RefusalError(status, payload)
