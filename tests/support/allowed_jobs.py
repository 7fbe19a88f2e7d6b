"""Settlements of calls whose neurons a daily allowance may cover."""

from decimal import Decimal

from shared.domain.claims import ClaimRequest
from shared.domain.jobs import AttemptOutcome
from shared.domain.money import ZERO_USD
from shared.domain.outgoing import DelayedMessage
from shared.domain.pricing import NEURON_USD, DailyAllowance
from shared.domain.usage import TokenUsage
from shared.domain.work import AttemptResult, JobContinues, JobStep, JobSucceeds, NewJob, Settlement
from shared.messages.frames import JobCompleted, UsageFrame
from shared.messages.usage import usage_message
from tests.support.chat_jobs import SUCCEEDS, call_facts


def allowance_of(neurons: int) -> DailyAllowance:
    """Return an allowance of so many neurons a day."""
    return DailyAllowance("cloudflare/neurons", Decimal(neurons), NEURON_USD)


def allowed_settlement(
    job: NewJob,
    request: ClaimRequest,
    neurons: str,
    allowance: DailyAllowance | None,
    step: JobStep = SUCCEEDS,
    *,
    cost_so_far_usd: Decimal = ZERO_USD,
) -> Settlement:
    """Return a settlement as the worker makes it: frame and event say the list price."""
    ends = isinstance(step, JobSucceeds)
    result = AttemptResult(
        AttemptOutcome.FAILED if isinstance(step, JobContinues) else AttemptOutcome.SUCCEEDED,
        TokenUsage(10, 5),
        neurons=Decimal(neurons),
        cost_usd=Decimal(neurons) * NEURON_USD,
        allowance=allowance,
    )
    usage = usage_message(call_facts(job, request), result, ended_at=request.now, latency_ms=7)
    return Settlement(
        job_id=job.id,
        attempt_id=request.attempt_id,
        worker=request.worker,
        result=result,
        step=step,
        messages=[DelayedMessage(usage)],
        finished_at=request.now,
        latency_ms=7,
        terminal_frame=_frame(job, request, cost_so_far_usd, result) if ends else None,
    )


def _frame(
    job: NewJob, request: ClaimRequest, cost_so_far_usd: Decimal, result: AttemptResult
) -> bytes:
    completed = JobCompleted(
        job_id=job.id,
        result={"message": {"role": "assistant", "content": "Grüße: \u2713"}},
        usage=UsageFrame(input_tokens=10, output_tokens=5, neurons=result.neurons),
        cost_usd=cost_so_far_usd + result.cost_usd,
        provider=request.provider,
        model=request.model,
        is_fallback=False,
        latency_ms=7,
    )
    return completed.model_dump_json().encode()
