"""Events: what has happened and must reach the ledger."""

from decimal import Decimal
from typing import Literal

from shared.domain.catalog import Operation, Provider, Tier
from shared.domain.ids import AttemptId, JobId, KeyId, UserId
from shared.domain.rollout import Arm
from shared.messages.envelope import Envelope


class UsageRecorded(Envelope):
    """One attempt is over. `message_id` is the attempt's id, and the ledger entry's.

    `hold_usd` is released when the event is booked; `cost_usd` is exact, in USD, and what is paid.
    `list_cost_usd` is what it would cost without the provider's free allowance, null where the two
    are the same. `cached_tokens` and `cache_write_tokens` are part of `input_tokens`. `arm` is the
    side of the rollout that the call was routed by. `is_hedge` is true for a second call beside
    another one, null for all others. A call that was closed because the one beside it answered
    first is no error and no fallback.
    """

    kind: Literal["usage_recorded.v1"] = "usage_recorded.v1"
    attempt_id: AttemptId
    job_id: JobId
    user_id: UserId
    key_id: KeyId
    tier: Tier
    operation: Operation
    provider: Provider
    model: str
    model_answered: str | None = None
    price_id: str
    provider_request_id: str | None = None
    service_tier: str | None = None
    input_tokens: int
    output_tokens: int
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    neurons_reported: Decimal | None = None
    neurons: Decimal
    list_cost_usd: Decimal | None = None
    cost_usd: Decimal
    hold_usd: Decimal
    is_fallback: bool
    is_error: bool
    assumed: bool
    latency_ms: int
    arm: Arm | None = None
    is_hedge: bool | None = None
