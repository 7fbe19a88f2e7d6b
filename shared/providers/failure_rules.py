"""What each provider error asks for, as data.

Sources: Cloudflare's error list (docs, 2026-10) and bodies seen in production, OpenAI's error guide
(2026-09-05). A request that no provider will ever take fails its job: the client is told the code,
and nothing is left to do for a dead-letter queue. Invariant: no two rules have the same provider,
status and code.
"""

from dataclasses import dataclass

from shared.domain.catalog import CLOUDFLARE, OPENAI, Provider
from shared.domain.circuits import CircuitClass, Trip
from shared.domain.errors import FailureAction

_CLOUDFLARE = CLOUDFLARE
_OPENAI = OPENAI

_RETRY = FailureAction.RETRY_HERE
_BACK_OFF = FailureAction.BACK_OFF
_FALL_BACK = FailureAction.FALL_BACK
_MIDNIGHT = FailureAction.STOP_UNTIL_MIDNIGHT
_SPLIT = FailureAction.SPLIT
_FAIL = FailureAction.FAIL

_FAILING = Trip(CircuitClass.FAILING)
_RATE = Trip(CircuitClass.RATE)
_BUSY = Trip(CircuitClass.RATE, is_by_chance=True)
_MINUTE = Trip(CircuitClass.RATE, until_next_minute=True)
_GATEWAY_RATE = Trip(CircuitClass.RATE, every_model=True)
_QUOTA = Trip(CircuitClass.QUOTA, every_model=True)
_MONEY = Trip(CircuitClass.MONEY, every_model=True)
_ACCOUNT = Trip(CircuitClass.ACCESS, every_model=True)
_RIGHTS = Trip(CircuitClass.ACCESS)
_RETIRED = Trip(CircuitClass.RETIRED)

_SPENT = "the account's money or credit is used up; raise its limit"


@dataclass(frozen=True, slots=True)
class FailureRule:
    """One provider error; a None matches anything.

    Attributes:
        message: Ours, because a provider's own text may quote the prompt.
        trip: The circuit that it opens; None for what concerns the request alone.
    """

    provider: Provider | None
    status: int | None
    code: str | None
    action: FailureAction
    message: str
    trip: Trip | None = None


FAILURE_RULES = (
    FailureRule(
        _CLOUDFLARE,
        None,
        "2003",
        _BACK_OFF,
        "the AI gateway's request limit is reached",
        _GATEWAY_RATE,
    ),
    FailureRule(
        _CLOUDFLARE, None, "2021", _FALL_BACK, "the AI gateway's credit is used up", _MONEY
    ),
    FailureRule(
        _CLOUDFLARE, None, "2045", _FALL_BACK, "the AI gateway's spend limit is reached", _MONEY
    ),
    FailureRule(_CLOUDFLARE, None, "3003", _FAIL, "the request is incomplete"),
    FailureRule(_CLOUDFLARE, None, "3006", _SPLIT, "the request is too large"),
    FailureRule(_CLOUDFLARE, None, "3007", _RETRY, "the model timed out", _FAILING),
    FailureRule(_CLOUDFLARE, None, "3008", _RETRY, "the model aborted the request", _FAILING),
    FailureRule(
        _CLOUDFLARE, None, "3021", _BACK_OFF, "the model's requests a minute are used up", _MINUTE
    ),
    FailureRule(_CLOUDFLARE, None, "3023", _FALL_BACK, "the account is blocked", _ACCOUNT),
    FailureRule(_CLOUDFLARE, None, "3030", _SPLIT, "the batch is over the model's token budget"),
    FailureRule(
        _CLOUDFLARE, None, "3036", _MIDNIGHT, "the daily free allocation is used up", _QUOTA
    ),
    FailureRule(_CLOUDFLARE, None, "3039", _FAIL, "the finetune lacks files"),
    FailureRule(_CLOUDFLARE, None, "3040", _BACK_OFF, "the model is out of capacity", _BUSY),
    FailureRule(
        _CLOUDFLARE, None, "3041", _FALL_BACK, "the account may not use this model", _RIGHTS
    ),
    FailureRule(_CLOUDFLARE, None, "3042", _FALL_BACK, "no such model", _RETIRED),
    FailureRule(
        _CLOUDFLARE, None, "4006", _MIDNIGHT, "the daily free allocation is used up", _QUOTA
    ),
    FailureRule(_CLOUDFLARE, None, "5004", _FAIL, "the request holds invalid data"),
    FailureRule(_CLOUDFLARE, None, "5005", _FAIL, "the model takes no LoRA"),
    FailureRule(_CLOUDFLARE, None, "5006", _FALL_BACK, "the model could not meet the JSON schema"),
    FailureRule(_CLOUDFLARE, None, "5007", _FALL_BACK, "no such model", _RETIRED),
    FailureRule(
        _CLOUDFLARE, None, "5016", _FALL_BACK, "the model's terms are not agreed to", _RIGHTS
    ),
    FailureRule(
        _CLOUDFLARE, None, "5018", _FALL_BACK, "the account may not use this model", _RIGHTS
    ),
    FailureRule(_CLOUDFLARE, None, "5019", _FAIL, "the API's version is too old"),
    FailureRule(_CLOUDFLARE, None, "5021", _FALL_BACK, "the request exceeds the model's window"),
    FailureRule(_CLOUDFLARE, None, "5025", _FALL_BACK, "the model takes no JSON schema"),
    FailureRule(_CLOUDFLARE, None, "5028", _FALL_BACK, "the model is retired", _RETIRED),
    FailureRule(_CLOUDFLARE, None, "5035", _FALL_BACK, "the model needs a paid plan", _RIGHTS),
    FailureRule(_CLOUDFLARE, None, "7003", _FALL_BACK, "no such path or model", _RETIRED),
    FailureRule(_CLOUDFLARE, None, "8001", _FAIL, "the request does not fit the model's schema"),
    FailureRule(_CLOUDFLARE, None, "8007", _FALL_BACK, "the model refused the request"),
    FailureRule(
        _CLOUDFLARE, None, "10000", _FALL_BACK, "the API token is wrong or lacks rights", _ACCOUNT
    ),
    FailureRule(_OPENAI, 400, "context_length_exceeded", _FALL_BACK, "the model's window is full"),
    FailureRule(_OPENAI, 400, "max_tokens_per_request", _SPLIT, "the batch has too many tokens"),
    FailureRule(_OPENAI, 400, None, _FAIL, "the request is invalid"),
    FailureRule(_OPENAI, 422, None, _FAIL, "the request is invalid"),
    FailureRule(_OPENAI, None, "invalid_api_key", _FALL_BACK, "the API key is wrong", _ACCOUNT),
    FailureRule(
        _OPENAI, None, "model_not_found", _FALL_BACK, "no such model, or it is retired", _RETIRED
    ),
    FailureRule(_OPENAI, 429, "rate_limit_exceeded", _BACK_OFF, "the rate limit is reached", _RATE),
    FailureRule(_OPENAI, 429, "slow_down", _BACK_OFF, "the request rate grew too fast", _RATE),
    FailureRule(_OPENAI, 503, "slow_down", _RETRY, "the provider is overloaded", _RATE),
    FailureRule(_OPENAI, None, "insufficient_quota", _FALL_BACK, _SPENT, _MONEY),
    FailureRule(_OPENAI, None, "credit_balance_exhausted", _FALL_BACK, _SPENT, _MONEY),
    FailureRule(_OPENAI, None, "organization_spend_limit_exceeded", _FALL_BACK, _SPENT, _MONEY),
    FailureRule(_OPENAI, None, "project_spend_limit_exceeded", _FALL_BACK, _SPENT, _MONEY),
    FailureRule(_OPENAI, None, "organization_usage_limit_exceeded", _FALL_BACK, _SPENT, _MONEY),
    FailureRule(_OPENAI, None, "billing_hard_limit_reached", _FALL_BACK, _SPENT, _MONEY),
    FailureRule(_OPENAI, None, "server_error", _RETRY, "the provider failed", _FAILING),
    FailureRule(
        _OPENAI, None, "server_is_overloaded", _RETRY, "the provider is overloaded", _FAILING
    ),
    FailureRule(_OPENAI, None, "batch_expired", _RETRY, "the batch's time was over"),
    FailureRule(_OPENAI, None, "batch_cancelled", _RETRY, "the batch was cancelled"),
    FailureRule(_OPENAI, None, "request_timeout", _RETRY, "the provider timed out"),
    FailureRule(None, None, "connection", _RETRY, "no connection to the provider", _FAILING),
    FailureRule(None, None, "stream_cut", _RETRY, "the answer broke off", _FAILING),
    FailureRule(
        None, None, "timeout_first_token", _RETRY, "the provider did not begin to answer", _FAILING
    ),
    FailureRule(
        None, None, "timeout_between_tokens", _RETRY, "the provider stopped in its answer", _FAILING
    ),
    FailureRule(None, None, "timeout_total", _RETRY, "the answer took too long", _FAILING),
    FailureRule(None, None, "malformed", _FALL_BACK, "the answer cannot be read", _FAILING),
    FailureRule(None, None, "empty_answer", _FALL_BACK, "the answer has no text"),
    FailureRule(None, 401, None, _FALL_BACK, "the credentials are wrong", _ACCOUNT),
    FailureRule(None, 402, None, _FALL_BACK, _SPENT, _MONEY),
    FailureRule(None, 403, None, _FALL_BACK, "the account may not do this", _RIGHTS),
    FailureRule(None, 404, None, _FALL_BACK, "no such model or path", _RETIRED),
    FailureRule(None, 408, None, _RETRY, "the provider timed out", _FAILING),
    FailureRule(None, 409, None, _RETRY, "the provider saw a conflict"),
    FailureRule(None, 410, None, _FALL_BACK, "the model is retired", _RETIRED),
    FailureRule(None, 413, None, _SPLIT, "the request is too large"),
    FailureRule(None, 429, None, _BACK_OFF, "the rate limit is reached", _RATE),
)
