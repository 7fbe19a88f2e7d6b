"""Every refusal and every failure in the contract's one error shape."""

from collections.abc import Sequence
from datetime import timedelta
from http import HTTPStatus
from typing import Final

import structlog
from fastapi import FastAPI, Request, Response, WebSocket
from fastapi.exceptions import RequestValidationError, WebSocketRequestValidationError
from pydantic import ValidationError
from pydantic_core import ErrorDetails
from starlette.exceptions import HTTPException
from starlette.websockets import WebSocketState

from services.api.schemas.problems import Problem, ProblemDetail
from services.api.use_cases.refusals import RefusalCode, RefusedError
from shared.domain.errors import TransientError

_log = structlog.stdlib.get_logger(__name__)

STATUS_BY_CODE: Final[dict[RefusalCode, int]] = {
    RefusalCode.INVALID_JSON: 400,
    RefusalCode.INVALID_VALUE: 422,
    RefusalCode.MODEL_NOT_FOUND: 422,
    RefusalCode.UNKNOWN_PRICE: 422,
    RefusalCode.INVALID_API_KEY: 401,
    RefusalCode.INSUFFICIENT_SCOPE: 403,
    RefusalCode.NOT_FOUND: 404,
    RefusalCode.METHOD_NOT_ALLOWED: 405,
    RefusalCode.IDEMPOTENCY_CONFLICT: 409,
    RefusalCode.JOB_RUNNING: 409,
    RefusalCode.JOB_FINISHED: 409,
    RefusalCode.LEDGER_MOVED: 409,
    RefusalCode.EMBEDDING_FIXED: 409,
    RefusalCode.PAYLOAD_TOO_LARGE: 413,
    RefusalCode.INTERNAL_ERROR: 500,
    RefusalCode.BUDGET_EXCEEDED: 429,
    RefusalCode.QUEUE_CLOSED: 503,
    RefusalCode.UNAVAILABLE: 503,
}
_TYPE_BY_STATUS: Final[dict[int, str]] = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    409: "conflict_error",
    429: "rate_limit_error",
    500: "server_error",
    503: "unavailable_error",
}
_CODE_BY_STATUS: Final[dict[int, RefusalCode]] = {
    404: RefusalCode.NOT_FOUND,
    405: RefusalCode.METHOD_NOT_ALLOWED,
}
_CLOSE_INTERNAL_ERROR: Final = 1011
_RETRY_OUTAGE: Final = timedelta(seconds=2)
_PLACES: Final = frozenset({"body", "query", "path", "header"})


_EXPECTED: Final[tuple[type[Exception], ...]] = (
    RefusedError,
    ValidationError,
    RequestValidationError,
    WebSocketRequestValidationError,
    HTTPException,
    TransientError,
)


def add_problem_handlers(app: FastAPI) -> None:
    """Let the app answer every error in the contract's shape."""

    async def on_refused(connection: Request | WebSocket, error: Exception) -> Response:
        response = problem_response(refusal_of(error))
        if isinstance(connection, WebSocket):
            await _refuse(connection, response)
        return response

    async def on_unexpected(request: Request, error: Exception) -> Response:
        _log.error("http.failed", path=request.url.path, error=type(error).__name__)
        return problem_response(
            RefusedError(
                RefusalCode.INTERNAL_ERROR,
                "something went wrong on our side; quote the x-request-id",
            )
        )

    for kind in _EXPECTED:
        app.add_exception_handler(kind, on_refused)
    app.add_exception_handler(Exception, on_unexpected)


def refusal_of(error: Exception) -> RefusedError:
    """Return what a client is told about an error that was expected to happen."""
    match error:
        case RefusedError():
            return error
        case ValidationError():
            return _invalid(error.errors(include_url=False, include_input=False))
        case RequestValidationError() | WebSocketRequestValidationError():
            return _invalid(error.errors())
        case HTTPException():
            return _http_refusal(error)
        case _:
            return RefusedError(
                RefusalCode.UNAVAILABLE,
                "a part of the system does not answer; try again",
                retry_after=_RETRY_OUTAGE,
            )


def problem_response(refusal: RefusedError) -> Response:
    """Return a refusal as an answer."""
    status = STATUS_BY_CODE[refusal.code]
    headers: dict[str, str] = {}
    if refusal.retry_after is not None:
        headers["retry-after"] = str(max(1, round(refusal.retry_after.total_seconds())))
    if refusal.code is RefusalCode.BUDGET_EXCEEDED:
        headers["x-should-retry"] = "false"
    if status == HTTPStatus.UNAUTHORIZED:
        headers["www-authenticate"] = "Bearer"
    return Response(
        problem_of(refusal).model_dump_json(), status, headers, media_type="application/json"
    )


def problem_of(refusal: RefusedError) -> Problem:
    """Return a refusal's body."""
    return Problem(
        error=ProblemDetail(
            message=refusal.message,
            type=_TYPE_BY_STATUS.get(STATUS_BY_CODE[refusal.code], "invalid_request_error"),
            code=refusal.code,
            param=refusal.param,
        )
    )


async def _refuse(websocket: WebSocket, response: Response) -> None:
    """Close a websocket: before accept with the response, afterwards with a code for failure."""
    if websocket.application_state is WebSocketState.CONNECTING:
        await websocket.send_denial_response(response)
    else:
        await websocket.close(_CLOSE_INTERNAL_ERROR)


def _invalid(errors: Sequence[ErrorDetails]) -> RefusedError:
    first = errors[0]
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] == "json_invalid":
        return RefusedError(RefusalCode.INVALID_JSON, message)
    path = [part for part in map(str, first["loc"]) if not part.startswith("[")]
    if path and path[0] in _PLACES and len(path) > 1:
        path = path[1:]
    param = ".".join(path) or None
    place = f"{param}: " if param else ""
    return RefusedError(RefusalCode.INVALID_VALUE, f"{place}{message}", param=param)


def _http_refusal(error: HTTPException) -> RefusedError:
    code = _CODE_BY_STATUS.get(error.status_code, RefusalCode.INVALID_VALUE)
    if code is RefusalCode.NOT_FOUND:
        return RefusedError(code, "there is nothing at this address")
    if code is RefusalCode.METHOD_NOT_ALLOWED:
        return RefusedError(code, "this address does not take this method")
    return RefusedError(code, str(error.detail))
