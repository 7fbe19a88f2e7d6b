"""One claimed attempt: called, streamed and settled."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import assert_never

import orjson

from services.inference_worker.policies.after_failure import (
    FailureFacts,
    NextCandidate,
    after_failure,
)
from services.inference_worker.use_cases.answer_stream import AnswerStream, StreamPorts
from services.inference_worker.use_cases.calling import Answered, Broke, CallProvider, result_of
from services.inference_worker.use_cases.chat_calls import chat_result
from shared.domain.access import Caller
from shared.domain.catalog import Operation
from shared.domain.errors import ProviderFailure
from shared.domain.failed_jobs import GiveUp, TryLater
from shared.domain.ids import AttemptId
from shared.domain.outgoing import DelayedMessage, OutgoingMessage
from shared.domain.pricing import PriceRow
from shared.domain.provider_calls import ChatFinished
from shared.domain.rollout import Arm
from shared.domain.routing import Candidate
from shared.domain.work import (
    AttemptResult,
    Claimed,
    JobContinues,
    JobFails,
    JobStep,
    JobSucceeds,
    JobWaits,
    Settlement,
)
from shared.messages.commands import CompleteChat
from shared.messages.endings import failure
from shared.messages.frames import JobCompleted, UsageFrame, stream_key
from shared.messages.requests import ChatRequest
from shared.messages.retries import delayed
from shared.messages.usage import CallFacts, usage_message
from shared.ports.admission import Admission, Admitted
from shared.ports.messaging import CommittedMessages


@dataclass(frozen=True, slots=True)
class Attempt:
    """What is known of an attempt once it is claimed.

    Attributes:
        job: The command being carried out.
        command: The same as a message, to bring the job back later.
        restart_reason: Why the client's text starts again; None when it has seen none.
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

    @property
    def candidate(self) -> Candidate:
        """Return who is called."""
        return self.admitted.candidate


@dataclass(frozen=True, slots=True)
class Ended:
    """This delivery's work is done: the job has ended, waits, or is no longer ours."""


@dataclass(frozen=True, slots=True)
class GoOn:
    """It is the next candidate's turn; the reason is set when the client has seen some text."""

    failures: int
    restart_reason: str | None


@dataclass(frozen=True, slots=True)
class _Next:
    """What a call's outcome means for the job.

    Attributes:
        step: What the job does next.
        failures: How many of its attempts have failed.
        retry: The command that comes back.
        terminal_frame: The job's last frame.
    """

    step: JobStep
    failures: int
    retry: Sequence[DelayedMessage] = ()
    terminal_frame: bytes | None = None


class RunAttempt:
    """Calls the provider of a claimed attempt and settles what came of it.

    Args:
        ports: Where the answer streams to and settlements go.
        call: The providers.
        admission: Is told what came of each call.
        committed: Publishes what a settlement put into the outbox.
        worker: Owner of the leases.
    """

    def __init__(
        self,
        ports: StreamPorts,
        call: CallProvider,
        admission: Admission,
        committed: CommittedMessages,
        worker: str,
    ) -> None:
        self._ports = ports
        self._call = call
        self._admission = admission
        self._committed = committed
        self._worker = worker

    async def __call__(
        self, attempt: Attempt, *, goes_on_after: Callable[[ProviderFailure], bool]
    ) -> Ended | GoOn:
        """Run the attempt to its settlement; idempotent by attempt id."""
        clock = self._ports.clock
        number = attempt.claimed.number
        answer = AnswerStream(self._ports, attempt.job.job_id, attempt.attempt_id, number)
        if attempt.restart_reason is not None:
            await answer.restart(attempt.restart_reason)
        request = ChatRequest.model_validate_json(attempt.claimed.request_json)
        began = clock.monotonic()
        outcome = await self._call(attempt.admitted, request, attempt.attempt_id, answer)
        latency_ms = round((clock.monotonic() - began) * 1000)
        now = clock.now()
        result = result_of(outcome, attempt.row)
        match outcome:
            case Answered(finished):
                await self._admission.answered(attempt.admitted, finished.usage, finished.limits)
                following = _completed(attempt, result, finished, answer.text, now)
            case Broke(provider_failure):
                await self._admission.failed(attempt.admitted, provider_failure)
                has_next = goes_on_after(provider_failure)
                following = _failed(attempt, provider_failure, answer, has_next, now)
            case _:
                assert_never(outcome)
        usage = usage_message(_facts(attempt), result, ended_at=now, latency_ms=latency_ms)
        settled = await self._ports.attempts.settle(
            Settlement(
                job_id=attempt.job.job_id,
                attempt_id=attempt.attempt_id,
                worker=self._worker,
                result=result,
                step=following.step,
                messages=[DelayedMessage(usage), *following.retry],
                finished_at=now,
                latency_ms=latency_ms,
                terminal_frame=following.terminal_frame,
                failures=following.failures - attempt.claimed.failures_so_far,
            )
        )
        if settled.applied and settled.terminal_frame is not None:
            await self._ports.frames.send(stream_key(attempt.job.job_id), settled.terminal_frame)
        await self._committed.flush(settled.outbox)
        if settled.applied and isinstance(following.step, JobContinues):
            reason = result.error.code if answer.text_was_sent and result.error else None
            return GoOn(following.failures, reason or attempt.restart_reason)
        return Ended()


def _completed(
    attempt: Attempt, result: AttemptResult, finished: ChatFinished, text: str, now: datetime
) -> _Next:
    answer = chat_result(text, finished)
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
    return _Next(step, claimed.failures_so_far, terminal_frame=frame_json)


def _failed(
    attempt: Attempt,
    provider_failure: ProviderFailure,
    answer: AnswerStream,
    has_next: bool,  # noqa: FBT001 - private, and named at its one call
    now: datetime,
) -> _Next:
    failures = attempt.claimed.failures_so_far + provider_failure.weight
    decision = after_failure(
        FailureFacts(
            failure=provider_failure,
            failures=failures,
            has_next=has_next,
            text_was_sent=answer.text_was_sent,
            on_interrupt=attempt.job.on_interrupt,
        )
    )
    match decision:
        case NextCandidate():
            return _Next(JobContinues(), failures)
        case TryLater(delay):
            waits = JobWaits(provider_failure.waiting(now + delay))
            return _Next(waits, failures, [delayed(attempt.command, delay, now)])
        case GiveUp(error):
            message = failure(attempt.job.job_id, error.code, error.message)
            return _Next(JobFails(error), failures, terminal_frame=message.body)
        case _:
            assert_never(decision)


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
    )
