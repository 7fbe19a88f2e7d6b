"""Why the API says no, in words that HTTP codes are chosen by elsewhere.

Invariant: every refusal has a code from the closed set below; messages say what to do and carry
neither secrets nor prompt text.
"""

from datetime import timedelta
from enum import StrEnum

from shared.domain.errors import PermanentError


class RefusalCode(StrEnum):
    """The machine-readable reason."""

    INVALID_JSON = "invalid_json"
    INVALID_VALUE = "invalid_value"
    MODEL_NOT_FOUND = "model_not_found"
    UNKNOWN_PRICE = "unknown_price"
    INVALID_API_KEY = "invalid_api_key"
    INSUFFICIENT_SCOPE = "insufficient_scope"
    NOT_FOUND = "not_found"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    IDEMPOTENCY_CONFLICT = "idempotency_conflict"
    JOB_RUNNING = "job_running"
    JOB_FINISHED = "job_finished"
    LEDGER_MOVED = "ledger_moved"
    EMBEDDING_FIXED = "embedding_fixed"
    PAYLOAD_TOO_LARGE = "payload_too_large"
    BUDGET_EXCEEDED = "budget_exceeded"
    QUEUE_CLOSED = "queue_closed"
    UNAVAILABLE = "unavailable"
    INTERNAL_ERROR = "internal_error"


class RefusedError(PermanentError):
    """The request is refused; the message says why and what to do."""

    def __init__(
        self,
        code: RefusalCode,
        message: str,
        *,
        param: str | None = None,
        retry_after: timedelta | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.param = param
        self.retry_after = retry_after


def invalid(param: str, message: str) -> RefusedError:
    """Return the refusal of one field's value."""
    return RefusedError(RefusalCode.INVALID_VALUE, message, param=param)


def not_found(what: str, name: str) -> RefusedError:
    """Return the refusal for what does not exist, or is another user's."""
    return RefusedError(RefusalCode.NOT_FOUND, f"there is no {what} {name!r}")
