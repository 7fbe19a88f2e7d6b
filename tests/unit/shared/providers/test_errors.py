"""Each error that a provider is known for has the action its documentation asks for."""

import httpx
import httpx2
import openai
import pytest

from shared.domain.catalog import CLOUDFLARE, OPENAI, Operation, Provider
from shared.domain.errors import (
    FailureAction,
    ProviderFailure,
    ProviderPermanentError,
    ProviderTransientError,
)
from shared.domain.usage import TokenUsage
from shared.providers.cloudflare_connection import transport_code
from shared.providers.errors import Refusal, own_error, refusal_error
from shared.providers.failure_rules import FAILURE_RULES
from shared.providers.openai_errors import sdk_error

_CLOUDFLARE = """
3003 400 fail
3006 413 split
3007 408 retry_here
3008 408 retry_here
3021 429 back_off
3023 403 fall_back
3030 400 split
3036 429 stop_until_midnight
3039 400 fail
3040 429 back_off
3041 403 fall_back
3042 404 fall_back
4006 429 stop_until_midnight
5004 400 fail
5005 405 fail
5006 400 fall_back
5007 400 fall_back
5016 403 fall_back
5018 403 fall_back
5019 405 fail
5021 413 fall_back
5025 400 fall_back
5028 410 fall_back
5035 403 fall_back
8007 400 fall_back
8001 400 fail
10000 401 fall_back
7003 404 fall_back
2003 429 back_off
2045 429 fall_back
2021 402 fall_back
"""
_OPENAI = """
context_length_exceeded 400 fall_back
invalid_value 400 fail
invalid_api_key 401 fall_back
- 403 fall_back
model_not_found 404 fall_back
- 408 retry_here
- 409 retry_here
- 422 fail
rate_limit_exceeded 429 back_off
slow_down 429 back_off
insufficient_quota 429 fall_back
credit_balance_exhausted 429 fall_back
organization_spend_limit_exceeded 429 fall_back
project_spend_limit_exceeded 429 fall_back
organization_usage_limit_exceeded 429 fall_back
billing_hard_limit_reached 429 fall_back
- 500 retry_here
server_is_overloaded 503 retry_here
slow_down 503 retry_here
batch_expired 0 retry_here
batch_cancelled 0 retry_here
request_timeout 0 retry_here
"""
_REQUEST = httpx2.Request("POST", "http://provider")


def _failure(error: Exception) -> ProviderFailure:
    assert isinstance(error, ProviderTransientError | ProviderPermanentError)
    return error.failure


def _rows(table: str) -> list[tuple[str, int, str]]:
    rows = [line.split() for line in table.strip().splitlines()]
    return [(code, int(status), action) for code, status, action in rows]


def _refused(
    provider: Provider, status: int | None, *codes: str | None, **headers: str
) -> ProviderFailure:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return _failure(refusal_error(Refusal(provider, Operation.EMBED, status, codes, named)))


def _status_error(status: int, code: str | None, kind: str | None = None) -> openai.APIStatusError:
    response = httpx2.Response(status, request=_REQUEST, headers={"x-request-id": "req-1"})
    return openai.APIStatusError("x", response=response, body={"code": code, "type": kind})


@pytest.mark.parametrize(("code", "status", "action"), _rows(_CLOUDFLARE))
def test_every_cloudflare_code_has_its_action(code: str, status: int, action: str) -> None:
    failure = _refused(CLOUDFLARE, status, code)

    assert (failure.code, failure.action) == (code, action)


@pytest.mark.parametrize(("code", "status", "action"), _rows(_OPENAI))
def test_every_openai_code_has_its_action(code: str, status: int, action: str) -> None:
    failure = _refused(OPENAI, status or None, None if code == "-" else code)

    assert failure.action == action


def test_no_rule_is_there_twice() -> None:
    keys = [(rule.provider, rule.status, rule.code) for rule in FAILURE_RULES]

    assert len(set(keys)) == len(keys)


@pytest.mark.parametrize(("status", "code"), [(418, None), (400, "9999"), (None, None)])
def test_an_unknown_error_asks_to_fall_back(status: int | None, code: str | None) -> None:
    assert _refused(CLOUDFLARE, status, code).action is FailureAction.FALL_BACK


def test_a_money_error_is_told_by_its_type_when_the_code_is_new() -> None:
    failure = _refused(OPENAI, 429, "brand_new_limit", "insufficient_quota")

    assert failure.action is FailureAction.FALL_BACK


def test_a_chat_that_is_too_large_falls_back_as_it_cannot_be_split() -> None:
    refusal = Refusal(CLOUDFLARE, Operation.CHAT, 413, ("3006",))

    assert _failure(refusal_error(refusal)).action is FailureAction.FALL_BACK


def test_only_a_request_that_is_wrong_everywhere_is_permanent() -> None:
    wrong = refusal_error(Refusal(OPENAI, Operation.CHAT, 422, ()))
    retired = refusal_error(Refusal(CLOUDFLARE, Operation.CHAT, 410, ("5028",)))

    assert isinstance(wrong, ProviderPermanentError)
    assert isinstance(retired, ProviderTransientError)


def test_a_code_that_holds_prose_is_not_repeated() -> None:
    failure = _refused(OPENAI, 400, "you asked: my secret")

    assert failure.code == "http_400"
    assert "secret" not in failure.message


def test_a_speed_error_waits_until_the_limit_is_reset() -> None:
    failure = _refused(
        OPENAI,
        429,
        "rate_limit_exceeded",
        x_ratelimit_remaining_requests="0",
        x_ratelimit_reset_requests="6m0s",
    )

    assert failure.retry_after
    assert failure.retry_after.total_seconds() == 360


def test_resets_of_limits_that_are_not_reached_mean_nothing_to_other_errors() -> None:
    failure = _refused(OPENAI, 500, None, x_ratelimit_reset_requests="6m0s")

    assert failure.retry_after is None


@pytest.mark.parametrize(
    ("error", "code", "action"),
    [
        (_status_error(400, "invalid_value"), "invalid_value", "fail"),
        (_status_error(503, None, "server_error"), "server_error", "retry_here"),
        (openai.APIConnectionError(request=_REQUEST), "connection", "retry_here"),
        (openai.APITimeoutError(_REQUEST), "connection", "retry_here"),
        (
            openai.APIResponseValidationError(httpx2.Response(200, request=_REQUEST), None),
            "malformed",
            "fall_back",
        ),
        (
            openai.APIError("x", _REQUEST, body={"code": "server_error"}),
            "server_error",
            "retry_here",
        ),
        (openai.APIError("x", _REQUEST, body=None), "unknown", "fall_back"),
        (openai.OpenAIError("x"), "malformed", "fall_back"),
    ],
)
def test_every_kind_of_sdk_error_is_translated(
    error: openai.OpenAIError, code: str, action: str
) -> None:
    failure = _failure(sdk_error(error, Operation.CHAT))

    assert (failure.code, failure.action) == (code, action)


def _subclasses(kind: type[openai.OpenAIError]) -> set[type[openai.OpenAIError]]:
    found = {kind}
    for one in kind.__subclasses__():
        found |= _subclasses(one)
    return found


def test_every_status_class_of_the_sdk_is_translated_by_its_status() -> None:
    status_classes = [
        (400, openai.BadRequestError),
        (401, openai.AuthenticationError),
        (403, openai.PermissionDeniedError),
        (404, openai.NotFoundError),
        (409, openai.ConflictError),
        (422, openai.UnprocessableEntityError),
        (429, openai.RateLimitError),
        (500, openai.InternalServerError),
    ]
    known = {kind for _, kind in status_classes} | {openai.APIStatusError}

    for status, kind in status_classes:
        response = httpx2.Response(status, request=_REQUEST, headers={"x-request-id": "req-1"})
        failure = _failure(
            sdk_error(kind("x", response=response, body=None), Operation.CHAT, TokenUsage(1, 2))
        )
        assert failure.code == f"http_{status}"
        assert failure.provider_request_id == "req-1"
        assert failure.usage == TokenUsage(1, 2)

    assert {kind for kind in _subclasses(openai.APIStatusError) if kind not in known} <= {
        openai.OAuthError
    }


@pytest.mark.parametrize("kind", sorted(_subclasses(openai.OpenAIError), key=repr))
def test_no_sdk_error_is_left_untranslated(kind: type[openai.OpenAIError]) -> None:
    error = kind.__new__(kind)
    error.__dict__.update(code=None, type=None, status_code=400, request_id=None)
    error.__dict__["response"] = httpx2.Response(400, request=_REQUEST)

    assert _failure(sdk_error(error, Operation.CHAT)).code


@pytest.mark.parametrize(
    ("error", "before", "after"),
    [
        (httpx.ConnectError("x"), "connection", "connection"),
        (httpx.ConnectTimeout("x"), "connection", "connection"),
        (httpx.PoolTimeout("x"), "connection", "connection"),
        (httpx.ReadTimeout("x"), "connection", "stream_cut"),
        (httpx.WriteTimeout("x"), "connection", "stream_cut"),
        (httpx.ReadError("x"), "connection", "stream_cut"),
        (httpx.WriteError("x"), "connection", "stream_cut"),
        (httpx.CloseError("x"), "connection", "stream_cut"),
        (httpx.LocalProtocolError("x"), "connection", "stream_cut"),
        (httpx.RemoteProtocolError("x"), "connection", "stream_cut"),
        (httpx.ProxyError("x"), "connection", "stream_cut"),
        (httpx.UnsupportedProtocol("x"), "connection", "stream_cut"),
        (httpx.DecodingError("x"), "malformed", "malformed"),
        (httpx.TooManyRedirects("x"), "connection", "stream_cut"),
    ],
)
def test_every_transport_error_has_a_code(error: httpx.HTTPError, before: str, after: str) -> None:
    assert transport_code(error, has_begun=False) == before
    assert transport_code(error, has_begun=True) == after


@pytest.mark.parametrize("code", ["stream_cut", "timeout_total", "empty_answer"])
def test_our_own_failures_name_the_provider_and_what_was_consumed(code: str) -> None:
    failure = _failure(own_error(OPENAI, code, TokenUsage(3, 1), "req-1"))

    assert failure.message.startswith("openai: ")
    assert failure.usage == TokenUsage(3, 1)
    assert failure.provider_request_id == "req-1"
