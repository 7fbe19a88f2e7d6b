"""What a chat call's end means for its job, as the settlement that is committed."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import assert_never

import orjson

from services.inference_worker.policies.after_failure import (
    FailureFacts,
    NextCandidate,
    after_failure,
)
from services.inference_worker.use_cases.answer_stream import AnswerStream
from services.inference_worker.use_cases.chat_calls import chat_result
from shared.domain.access import Caller
from shared.domain.catalog import Operation
from shared.domain.claims import Claimed
from shared.domain.errors import ProviderFailure
from shared.domain.failed_jobs import GiveUp, TryLater
from shared.domain.ids import AttemptId
from shared.domain.outgoing import DelayedMessage, OutgoingMessage
from shared.domain.pricing import PriceRow
from shared.domain.provider_calls import ChatFinished
from shared.domain.rollout import Arm
from shared.domain.routes import Candidate
from shared.domain.work import (
    AttemptResult,
    JobContinues,
    JobFails,
    JobStep,
    JobSucceeds,
    JobWaits,
    Settlement,
)
from shared.messages.commands import CompleteChat
from shared.messages.endings import failure
from shared.messages.frames import JobCompleted, UsageFrame
from shared.messages.retries import delayed
from shared.messages.usage import CallFacts, usage_message
from shared.ports.admission import Admitted


@dataclass(frozen=True, slots=True)
class Attempt:
    """What is known of an attempt once it is claimed.

    Attributes:
        job: The command being carried out.
        command: The same as a message, to bring the job back later.
        restart_reason: Why the client's text starts again; None when it has seen none.
        is_hedge: Whether it was made beside another one.
    """

    job: CompleteChat
    command: OutgoingMessage
    admitted: Admitted
    row: PriceRow
    claimed: Claimed
    attempt_id: AttemptId
    hold_usd: Decimal
    is_fallback: bool
    restart_reason: str | None
    arm: Arm
    is_hedge: bool = False

    @property
    def candidate(self) -> Candidate:
        """Return who is called."""
        return self.admitted.candidate

    def after(self, cost_usd: Decimal, failures: int) -> "Attempt":
        """Return the attempt once another one of its job was settled, after both were claimed."""
        claimed = replace(
            self.claimed,
            cost_so_far_usd=self.claimed.cost_so_far_usd + cost_usd,
            failures_so_far=self.claimed.failures_so_far + failures,
        )
        return replace(self, claimed=claimed)


@dataclass(frozen=True, slots=True)
class Call:
    """An attempt's call: where its answer goes, and when it began (monotonic seconds)."""

    attempt: Attempt
    answer: AnswerStream
    began: float


@dataclass(frozen=True, slots=True)
class Following:
    """What a call's outcome means for the job.

    Attributes:
        step: What the job does next.
        failures: How many of its attempts have failed.
        retry: The message that brings the job back.
        terminal_frame: What ends the job for its client.
    """

    step: JobStep
    failures: int
    retry: Sequence[DelayedMessage] = ()
    terminal_frame: bytes | None = None


@dataclass(frozen=True, slots=True)
class CallEnd:
    """When a call ended, and how long it took."""

    at: datetime
    latency_ms: int


def completed(
    call: Call, result: AttemptResult, finished: ChatFinished, now: datetime
) -> Following:
    """Return how a job goes on whose answer is whole: it has succeeded."""
    attempt = call.attempt
    answer = chat_result(call.answer.text, finished)
    claimed = attempt.claimed
    earlier = claimed.usage_so_far
    neurons = (earlier.neurons or Decimal(0)) + result.neurons
    frame = JobCompleted(
        job_id=attempt.job.job_id,
        attempt=claimed.number,
        result=answer,
        usage=UsageFrame(
            input_tokens=earlier.input_tokens + result.usage.input_tokens,
            output_tokens=earlier.output_tokens + result.usage.output_tokens,
            neurons=neurons or None,
        ),
        cost_usd=claimed.cost_so_far_usd + result.cost_usd,
        provider=attempt.candidate.provider,
        model=attempt.candidate.model,
        is_fallback=attempt.is_fallback,
        latency_ms=max(0, int((now - claimed.created_at).total_seconds() * 1000)),
    )
    step = JobSucceeds(orjson.dumps(answer).decode())
    frame_json = frame.model_dump_json().encode()
    return Following(step, claimed.failures_so_far, terminal_frame=frame_json)


def failed(
    call: Call, provider_failure: ProviderFailure, now: datetime, *, has_next: bool
) -> Following:
    """Return how a job goes on after a failed call that nobody is called beside."""
    attempt = call.attempt
    failures = attempt.claimed.failures_so_far + provider_failure.weight
    decision = after_failure(
        FailureFacts(
            failure=provider_failure,
            failures=failures,
            has_next=has_next,
            text_was_sent=call.answer.text_was_sent,
            on_interrupt=attempt.job.on_interrupt,
        )
    )
    match decision:
        case NextCandidate():
            return Following(JobContinues(), failures)
        case TryLater(delay):
            waits = JobWaits(provider_failure.waiting(now + delay))
            return Following(waits, failures, [delayed(attempt.command, delay, now)])
        case GiveUp(error):
            message = failure(attempt.job.job_id, error.code, error.message)
            return Following(JobFails(error), failures, terminal_frame=message.body)
        case _:
            assert_never(decision)


def settlement_of(
    attempt: Attempt, result: AttemptResult, following: Following, end: CallEnd, worker: str
) -> Settlement:
    """Return all that is committed together when a call is over."""
    usage = usage_message(_facts(attempt), result, ended_at=end.at, latency_ms=end.latency_ms)
    return Settlement(
        job_id=attempt.job.job_id,
        attempt_id=attempt.attempt_id,
        worker=worker,
        result=result,
        step=following.step,
        messages=[DelayedMessage(usage), *following.retry],
        finished_at=end.at,
        latency_ms=end.latency_ms,
        terminal_frame=following.terminal_frame,
        failures=following.failures - attempt.claimed.failures_so_far,
    )


def _facts(attempt: Attempt) -> CallFacts:
    job = attempt.job
    return CallFacts(
        attempt_id=attempt.attempt_id,
        job_id=job.job_id,
        caller=Caller(job.user_id, job.key_id, job.tier, scopes=frozenset()),
        operation=Operation.CHAT,
        provider=attempt.candidate.provider,
        model=attempt.candidate.model,
        price_id=attempt.row.id,
        hold_usd=attempt.hold_usd,
        is_fallback=attempt.is_fallback,
        arm=attempt.arm,
        is_hedge=attempt.is_hedge,
    )
