"""The settlement of a provider call, for each way in which it can end."""

import json
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal

from pydantic import JsonValue

from services.embedding_worker.policies.after_failure import AfterFailure
from services.embedding_worker.policies.batches import Batch
from services.embedding_worker.policies.targets import Target
from services.embedding_worker.use_cases.job_run import Order
from shared.domain.claims import Claimed
from shared.domain.embedding_space import EmbeddingSpace
from shared.domain.errors import ProviderFailure
from shared.domain.failed_jobs import GiveUp, TryLater
from shared.domain.ids import JobId
from shared.domain.jobs import AttemptOutcome
from shared.domain.outgoing import DelayedMessage, OutgoingMessage
from shared.domain.pricing import Charge, charge
from shared.domain.provider_calls import EmbeddingAnswer
from shared.domain.usage import TokenUsage
from shared.domain.views import ErrorView
from shared.domain.work import (
    AttemptResult,
    JobContinues,
    JobFails,
    JobStep,
    JobSucceeds,
    JobWaits,
    Settlement,
)
from shared.messages.endings import ending, failure
from shared.messages.frames import JobCompleted, UsageFrame
from shared.messages.retries import delayed
from shared.messages.usage import CallFacts, usage_message


@dataclass(frozen=True, slots=True)
class Call:
    """A provider call that is on the books."""

    order: Order
    facts: CallFacts
    claimed: Claimed
    target: Target
    batch: Batch
    worker: str


@dataclass(frozen=True, slots=True)
class CallTime:
    """When a call ended and how long it took."""

    ended_at: datetime
    latency_ms: int


@dataclass(frozen=True, slots=True)
class _Next:
    """What a settlement does to the job."""

    step: JobStep
    terminal_frame: bytes | None = None
    retry: DelayedMessage | None = None


def result_json(space: EmbeddingSpace | None, count: int) -> str:
    """Return a job's result; its vectors are read from where they are stored."""
    return json.dumps(_result(space, count))


def nothing_left(job_id: JobId, space: EmbeddingSpace | None, count: int) -> OutgoingMessage:
    """Return the ending of a job whose texts have their vectors or are gone."""
    completed = JobCompleted(
        job_id=job_id,
        result=_result(space, count),
        usage=UsageFrame(input_tokens=0, output_tokens=0),
        cost_usd=Decimal(0),
        provider=space.provider if space else "",
        model=space.model if space else "",
        is_fallback=False,
        latency_ms=0,
    )
    return ending(completed)


def settled_success(
    call: Call, answer: EmbeddingAnswer, time: CallTime, *, count: int | None
) -> Settlement:
    """Return the settlement of an answer.

    Args:
        call: What was asked.
        answer: What came back.
        time: When.
        count: How many texts the job has when this was its last batch, else None.
    """
    charged = charge(call.target.price, answer.usage)
    attempt = AttemptResult(
        outcome=AttemptOutcome.SUCCEEDED,
        usage=answer.usage,
        neurons=charged.neurons or Decimal(0),
        cost_usd=charged.cost_usd,
        model_answered=answer.model_answered,
        provider_request_id=answer.provider_request_id,
        allowance=charged.allowance,
    )
    if count is None:
        return _settlement(call, attempt, time, _Next(JobContinues()))
    space = call.target.space
    completed = _completed(call, answer.usage, charged, time, count)
    succeeds = JobSucceeds(result_json(space, count))
    return _settlement(call, attempt, time, _Next(succeeds, completed.model_dump_json().encode()))


def settled_failure(
    call: Call, failed: ProviderFailure, time: CallTime, following: AfterFailure
) -> Settlement:
    """Return the settlement of a failure and of what follows from it."""
    charged = charge(call.target.price, failed.usage)
    attempt = AttemptResult(
        outcome=AttemptOutcome.FAILED,
        usage=failed.usage,
        neurons=charged.neurons or Decimal(0),
        cost_usd=charged.cost_usd,
        provider_request_id=failed.provider_request_id,
        error=ErrorView(failed.code, failed.message),
        allowance=charged.allowance,
    )
    settlement = _settlement(call, attempt, time, _after(call, failed, time, following))
    return replace(settlement, failures=failed.weight)


def _after(call: Call, failed: ProviderFailure, time: CallTime, following: AfterFailure) -> _Next:
    match following:
        case GiveUp(error):
            terminal = failure(call.facts.job_id, error.code, error.message)
            return _Next(JobFails(error), terminal.body)
        case TryLater(delay):
            waiting = failed.waiting(time.ended_at + delay)
            retry = delayed(call.order.message, delay, time.ended_at)
            return _Next(JobWaits(waiting), retry=retry)
        case _:
            return _Next(JobContinues())


def _settlement(call: Call, attempt: AttemptResult, time: CallTime, following: _Next) -> Settlement:
    usage = usage_message(call.facts, attempt, ended_at=time.ended_at, latency_ms=time.latency_ms)
    messages = [DelayedMessage(usage)]
    if following.retry is not None:
        messages.append(following.retry)
    return Settlement(
        job_id=call.facts.job_id,
        attempt_id=call.facts.attempt_id,
        worker=call.worker,
        result=attempt,
        step=following.step,
        messages=messages,
        finished_at=time.ended_at,
        latency_ms=time.latency_ms,
        terminal_frame=following.terminal_frame,
    )


def _completed(
    call: Call, usage: TokenUsage, charged: Charge, time: CallTime, count: int
) -> JobCompleted:
    before, space = call.claimed.usage_so_far, call.target.space
    neurons = (before.neurons or Decimal(0)) + (charged.neurons or Decimal(0))
    return JobCompleted(
        job_id=call.facts.job_id,
        result=_result(space, count),
        usage=UsageFrame(
            input_tokens=before.input_tokens + usage.input_tokens,
            output_tokens=before.output_tokens + usage.output_tokens,
            neurons=neurons or None,
        ),
        cost_usd=call.claimed.cost_so_far_usd + charged.cost_usd,
        provider=space.provider,
        model=space.model,
        is_fallback=call.target.is_fallback,
        latency_ms=max(0, (time.ended_at - call.claimed.created_at) // timedelta(milliseconds=1)),
    )


def _result(space: EmbeddingSpace | None, count: int) -> dict[str, JsonValue]:
    return {
        "embedding_space": space.id if space else None,
        "dimensions": space.dimensions if space else None,
        "count": count,
    }
