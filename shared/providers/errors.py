"""Turns what a provider said when it failed into one of our two provider errors.

Invariant: no prompt text and no secret gets into a failure; its sentences are our own, its code is
the provider's, shortened to what a code can be.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from shared.domain.catalog import CLOUDFLARE, OPENAI, Operation, Provider
from shared.domain.circuits import CircuitClass, Trip
from shared.domain.errors import (
    FailureAction,
    ProviderFailure,
    ProviderPermanentError,
    ProviderTransientError,
)
from shared.domain.usage import NO_USAGE, TokenUsage
from shared.providers.failure_rules import FAILURE_RULES, FailureRule
from shared.providers.retry_after import asked_delay, rate_limit_reset

_SERVER_ERROR = 500
_CODE = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_RULES = {(rule.provider, rule.status, rule.code): rule for rule in FAILURE_RULES}
_SERVER_FAILED = FailureRule(
    None,
    None,
    None,
    FailureAction.RETRY_HERE,
    "the provider failed",
    Trip(CircuitClass.FAILING),
)
_UNKNOWN = FailureRule(None, None, None, FailureAction.FALL_BACK, "an unknown error")
_NO_HEADERS: Mapping[str, str] = {}


@dataclass(frozen=True, slots=True)
class Refusal:
    """A provider's error, in its own words.

    Attributes:
        status: The HTTP status; None when the error came in the middle of an answer.
        codes: What the provider calls it, from the most to the least telling; Nones are left out.
    """

    provider: Provider
    operation: Operation
    status: int | None
    codes: tuple[str | None, ...]
    headers: Mapping[str, str] = field(default_factory=lambda: _NO_HEADERS)
    request_id: str | None = None


def refusal_error(
    refusal: Refusal, usage: TokenUsage = NO_USAGE
) -> ProviderTransientError | ProviderPermanentError:
    """Return the error for what a provider said; an unknown one asks to fall back."""
    codes = [str(code) for code in refusal.codes if code and _CODE.fullmatch(str(code))]
    rule = _rule(refusal.provider, refusal.status, codes)
    return provider_error(
        ProviderFailure(
            code=rule.code or next(iter(codes), _status_code(refusal.status)),
            message=f"{refusal.provider}: {rule.message}",
            action=_action(rule, refusal.operation),
            retry_after=_retry_after(rule, refusal.headers),
            usage=usage,
            provider_request_id=refusal.request_id,
            trip=rule.trip,
            is_known=rule is not _UNKNOWN,
        )
    )


def own_error(
    provider: Provider, code: str, usage: TokenUsage = NO_USAGE, request_id: str | None = None
) -> ProviderTransientError | ProviderPermanentError:
    """Return the error for a failure that we noticed, by our own code.

    Args:
        provider: Whose answer it was.
        code: `connection`, `stream_cut`, `timeout_first_token`, `timeout_between_tokens`,
            `timeout_total`, `malformed` or `empty_answer`.
        usage: What was consumed.
        request_id: The provider's id of the request, once it is known.
    """
    rule = _RULES[None, None, code]
    message = f"{provider}: {rule.message}"
    return provider_error(
        ProviderFailure(code, message, rule.action, None, usage, request_id, rule.trip),
    )


def provider_error(
    failure: ProviderFailure,
) -> ProviderTransientError | ProviderPermanentError:
    """Return the error that carries a failure: permanent if no provider will take the request."""
    if failure.action is FailureAction.FAIL:
        return ProviderPermanentError(failure)
    return ProviderTransientError(failure)


def _rule(provider: Provider, status: int | None, codes: list[str]) -> FailureRule:
    """Servers of others that speak OpenAI's API also fail in its words."""
    provider = provider if provider == CLOUDFLARE else OPENAI
    keys: list[tuple[Provider | None, int | None, str | None]] = []
    for code in codes:
        keys += [(provider, status, code), (provider, None, code)]
    keys += [(provider, status, None), (None, status, None)]
    found = next((rule for key in keys if (rule := _RULES.get(key))), None)
    if found:
        return found
    return _SERVER_FAILED if status is not None and status >= _SERVER_ERROR else _UNKNOWN


def _action(rule: FailureRule, operation: Operation) -> FailureAction:
    """A chat cannot be split; another model may have a larger window."""
    if rule.action is FailureAction.SPLIT and operation is Operation.CHAT:
        return FailureAction.FALL_BACK
    return rule.action


def _retry_after(rule: FailureRule, headers: Mapping[str, str]) -> timedelta | None:
    asked = asked_delay(headers)
    if asked is None and rule.action is FailureAction.BACK_OFF:
        return rate_limit_reset(headers)
    return asked


def _status_code(status: int | None) -> str:
    return "unknown" if status is None else f"http_{status}"
