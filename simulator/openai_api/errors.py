"""OpenAI's error answers to what a request did wrong, and of the modes that refuse every call."""

import math
from dataclasses import replace

from simulator.behaviour import Mode
from simulator.conduct import Conduct
from simulator.openai_api.known_errors import KNOWN_ERRORS, KnownError
from simulator.rate_limit import Meter
from simulator.refusal import InvalidRequestError, RefusalError

_INVALID = "invalid_request_error"
_NAME_BY_MODE = {
    Mode.DOWN: "503",
    Mode.UNAUTHORIZED: "invalid_api_key",
    Mode.NO_CAPACITY: "server_is_overloaded",
    Mode.QUOTA: "insufficient_quota",
    Mode.ERROR: "500",
}


def unauthorized() -> RefusalError:
    """Return the answer to a missing or wrong key."""
    return KNOWN_ERRORS["invalid_api_key"].refusal()


def no_route(method: str, path: str) -> RefusalError:
    """Return the answer to a path that does not exist."""
    return KnownError(404, _INVALID, None, f"Invalid URL ({method} {path})").refusal()


def unknown_model(model: str) -> RefusalError:
    """Return the answer to a model that does not exist or was shut down."""
    message = f"The model `{model}` does not exist or you do not have access to it."
    return _worded("model_not_found", message)


def invalid(error: InvalidRequestError) -> RefusalError:
    """Return the answer to a request that cannot be read."""
    known = KNOWN_ERRORS["invalid_value"]
    return replace(known, message=str(error), param=error.param).refusal()


def over_window(tokens: int, limit: int) -> RefusalError:
    """Return the answer to a request longer than the model's window."""
    message = f"This model's maximum context length is {limit} tokens, you asked for {tokens}."
    return _worded("context_length_exceeded", message)


def over_rate(model: str, meter: Meter) -> RefusalError:
    """Return the answer to a request beyond a limit of a minute, with the true time to wait."""
    message = f"Rate limit reached for {model} on {meter.unit} per min: Limit {meter.limit}."
    known = KNOWN_ERRORS["rate_limit_exceeded"]
    refusal = replace(known, message=message, kind=meter.unit).refusal()
    refusal.headers = [
        (b"retry-after", b"%d" % math.ceil(meter.wait_seconds)),
        (b"retry-after-ms", b"%d" % math.ceil(meter.wait_seconds * 1000)),
    ]
    return refusal


def fault(conduct: Conduct, model: str) -> RefusalError | None:
    """Return the answer of a mode that refuses every call, None for the others."""
    mode = conduct.mode
    match mode:
        case Mode.OK:
            return None
        case Mode.RETIRED:
            return unknown_model(model)
        case Mode.RATE_LIMITED:
            return _worded("rate_limit_exceeded", f"Rate limit reached for {model}.")
        case Mode.ERROR if conduct.error:
            return KNOWN_ERRORS[conduct.error].refusal()
        case _:
            name = _NAME_BY_MODE.get(mode)
            return KNOWN_ERRORS[name].refusal() if name else None


def _worded(name: str, message: str) -> RefusalError:
    return replace(KNOWN_ERRORS[name], message=message).refusal()
