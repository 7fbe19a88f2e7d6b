"""The ledger's line: what one attempt consumed and cost."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from shared.domain.catalog import Operation, Provider, Tier
from shared.domain.ids import AttemptId, JobId, KeyId, UserId
from shared.domain.rollout import Arm
from shared.domain.usage import TokenUsage


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """One line of the ledger; `id` is the attempt's, or a correction's own.

    Attributes:
        model: As it was asked of the provider.
        model_answered: As the provider named what answered.
        neurons: Computed from tokens; `usage` has what the provider reported.
        list_cost_usd: What the usage costs by the price row.
        cost_usd: What is paid: the list cost without what the allowance covered.
        corrects: What a correction corrects: an entry's id, or `invoice:` and the day, provider and
            model of a difference that no entry explains. None for an attempt's own entry.
        arm: The side of the rollout that the call was routed by.
        is_hedge: Whether it counts towards the cap of its tier's second calls.
    """

    id: AttemptId
    job_id: JobId
    user_id: UserId
    key_id: KeyId
    tier: Tier
    operation: Operation
    provider: Provider
    model: str
    model_answered: str | None
    price_id: str
    usage: TokenUsage
    neurons: Decimal
    list_cost_usd: Decimal
    cost_usd: Decimal
    hold_usd: Decimal
    is_fallback: bool
    is_error: bool
    assumed: bool
    latency_ms: int
    occurred_at: datetime
    provider_request_id: str | None = None
    corrects: str | None = None
    arm: Arm | None = None
    is_hedge: bool = False
