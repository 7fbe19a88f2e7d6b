"""Builds the usage event of an attempt, the same way in every service that ends attempts."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from shared.domain.access import Caller
from shared.domain.catalog import Operation, Provider
from shared.domain.ids import AttemptId, JobId
from shared.domain.jobs import AttemptOutcome
from shared.domain.outgoing import OutgoingMessage
from shared.domain.rollout import Arm
from shared.domain.work import AttemptResult
from shared.messages.events import UsageRecorded

EVENTS_EXCHANGE = "events"


@dataclass(frozen=True, slots=True)
class CallFacts:
    """What was known of an attempt before its call."""

    attempt_id: AttemptId
    job_id: JobId
    caller: Caller
    operation: Operation
    provider: Provider
    model: str
    price_id: str
    hold_usd: Decimal
    is_fallback: bool
    arm: Arm | None = None
    is_hedge: bool = False


def usage_message(
    call: CallFacts, result: AttemptResult, *, ended_at: datetime, latency_ms: int
) -> OutgoingMessage:
    """Return the event for the outbox; its message id is the attempt's, so repeats are dropped.

    It carries the list price; the settlement puts in what is paid where the allowance covers some.
    """
    event = _event(call, result, ended_at, latency_ms)
    return OutgoingMessage(
        message_id=call.attempt_id,
        exchange=EVENTS_EXCHANGE,
        routing_key=f"usage.{call.operation}",
        body=event.model_dump_json(exclude_none=True).encode(),
    )


def _event(
    call: CallFacts, result: AttemptResult, ended_at: datetime, latency_ms: int
) -> UsageRecorded:
    usage = result.usage
    return UsageRecorded(
        message_id=call.attempt_id,
        correlation_id=call.job_id,
        occurred_at=ended_at,
        attempt_id=call.attempt_id,
        job_id=call.job_id,
        user_id=call.caller.user_id,
        key_id=call.caller.key_id,
        tier=call.caller.tier,
        operation=call.operation,
        provider=call.provider,
        model=call.model,
        model_answered=result.model_answered,
        price_id=call.price_id,
        provider_request_id=result.provider_request_id,
        service_tier=usage.service_tier,
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cached_tokens=usage.cached_tokens or None,
        cache_write_tokens=usage.cache_write_tokens or None,
        neurons_reported=usage.neurons,
        neurons=result.neurons,
        cost_usd=result.cost_usd,
        hold_usd=call.hold_usd,
        is_fallback=call.is_fallback and not result.is_lost_hedge,
        is_error=result.outcome is not AttemptOutcome.SUCCEEDED and not result.is_lost_hedge,
        assumed=result.outcome is AttemptOutcome.UNKNOWN or usage.is_assumed,
        latency_ms=latency_ms,
        arm=call.arm,
        is_hedge=call.is_hedge or None,
    )
