"""Every error that the OpenAI API answers with (API reference and error guide, 2026).

Invariant: `code` tells speed from money: only speed says when to come back, only money says
`x-should-retry: false`.
"""

from dataclasses import dataclass
from enum import Enum

from simulator.exchange import Headers
from simulator.json_values import JsonObject
from simulator.refusal import RefusalError

_INVALID = "invalid_request_error"
_QUOTA = "insufficient_quota"


class Retry(Enum):
    """What the headers say about trying again."""

    UNSAID = ()
    SOON = ((b"retry-after", b"1"), (b"retry-after-ms", b"1000"))
    NEVER = ((b"x-should-retry", b"false"),)


@dataclass(frozen=True, slots=True)
class KnownError:
    """An error, as it is worded."""

    status: int
    kind: str
    code: str | None
    message: str
    retry: Retry = Retry.UNSAID
    param: str | None = None

    @property
    def name(self) -> str:
        """What it is called in the control: its status, and its code if it has one."""
        return f"{self.status}/{self.code}" if self.code else str(self.status)

    def refusal(self) -> RefusalError:
        """Return it as an answer."""
        headers: Headers = list(self.retry.value)
        return RefusalError(self.status, self.in_stream(), headers)

    def in_stream(self) -> JsonObject:
        """Return it as an event of a stream that has begun."""
        return {
            "error": {
                "message": self.message,
                "type": self.kind,
                "param": self.param,
                "code": self.code,
            }
        }


def _money(code: str, message: str) -> KnownError:
    return KnownError(429, _QUOTA, code, message, Retry.NEVER)


_CALLER = (
    KnownError(400, _INVALID, "context_length_exceeded", "The context is too long."),
    KnownError(400, _INVALID, "invalid_value", "Invalid value."),
    KnownError(401, _INVALID, "invalid_api_key", "Incorrect API key provided."),
    KnownError(403, _INVALID, None, "Country, region, or territory not supported."),
    KnownError(404, _INVALID, "model_not_found", "The model does not exist."),
    KnownError(409, _INVALID, None, "The resource was changed by another request."),
    KnownError(422, _INVALID, None, "The request was well-formed but cannot be processed."),
)
_SPEED = (
    KnownError(429, "requests", "rate_limit_exceeded", "Rate limit reached.", Retry.SOON),
    KnownError(429, "rate_limit_error", "slow_down", "Slow down.", Retry.SOON),
)
_MONEY = (
    _money(_QUOTA, "You exceeded your current quota, please check your plan and billing details."),
    _money("credit_balance_exhausted", "Your credit balance is exhausted."),
    _money("organization_spend_limit_exceeded", "Your organization reached its spend limit."),
    _money("project_spend_limit_exceeded", "Your project reached its spend limit."),
    _money("organization_usage_limit_exceeded", "Your organization reached its usage limit."),
    _money("billing_hard_limit_reached", "Billing hard limit has been reached."),
)
_BUSY = "service_unavailable_error"
_SERVER = (
    KnownError(408, "server_error", None, "The request timed out."),
    KnownError(500, "server_error", None, "The server had an error processing your request."),
    KnownError(503, "server_error", None, "The server had an error."),
    KnownError(503, _BUSY, "server_is_overloaded", "The server is overloaded, try again later."),
    KnownError(503, _BUSY, "slow_down", "Slow down."),
)

_ALL = (*_CALLER, *_SPEED, *_MONEY, *_SERVER)

# A code alone names its first error: `slow_down` is a 429 now and was a 503 before.
KNOWN_ERRORS = {
    **{error.code: error for error in reversed(_ALL) if error.code},
    **{error.name: error for error in _ALL},
    "429/rate_limit_exceeded/tokens": KnownError(
        429, "tokens", "rate_limit_exceeded", "Rate limit reached.", Retry.SOON
    ),
}
