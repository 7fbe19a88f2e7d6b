"""One claimed attempt: called, streamed and settled."""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import assert_never

from services.inference_worker.use_cases.answer_stream import AnswerStream, StreamPorts
from services.inference_worker.use_cases.calling import (
    Answered,
    Broke,
    CallOutcome,
    CallProvider,
    Overtaken,
    result_of,
)
from services.inference_worker.use_cases.settlements import (
    Attempt,
    Call,
    CallEnd,
    Following,
    completed,
    failed,
    settlement_of,
)
from shared.domain.errors import ProviderFailure
from shared.domain.ids import AttemptId, JobId
from shared.domain.money import ZERO_USD
from shared.domain.provider_calls import Meter
from shared.domain.work import AttemptResult, JobContinues, SettledJob
from shared.messages.events import UsageRecorded
from shared.messages.frames import stream_key
from shared.messages.requests import ChatRequest
from shared.ports.admission import Admission
from shared.ports.messaging import CommittedMessages

OpenAnswer = Callable[[StreamPorts, JobId, AttemptId, int], AnswerStream]
"""Opens the stream of an attempt's answer, as `AnswerStream` does."""


@dataclass(frozen=True, slots=True)
class Ended:
    """This delivery's work is done: the job has ended, waits, or is no longer ours."""


@dataclass(frozen=True, slots=True)
class GoOn:
    """It is the next candidate's turn; the reason is set when the client has seen some text."""

    failures: int
    restart_reason: str | None


@dataclass(frozen=True, slots=True)
class SettledBeside:
    """What an attempt has added to its job, which goes on by another one."""

    cost_usd: Decimal = ZERO_USD
    failures: int = 0


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
        call = self.begin(attempt, AnswerStream)
        if attempt.restart_reason is not None:
            await call.answer.restart(attempt.restart_reason)
        outcome = await self.call(call)
        return await self.settle(call, outcome, self.end_of(call), goes_on_after=goes_on_after)

    def begin(self, attempt: Attempt, answer: OpenAnswer) -> Call:
        """Return the attempt's call, which begins now."""
        stream = answer(self._ports, attempt.job.job_id, attempt.attempt_id, attempt.claimed.number)
        return Call(attempt, stream, self._ports.clock.monotonic())

    async def call(self, call: Call, meter: Meter | None = None) -> CallOutcome:
        """Call the provider and stream what it says."""
        attempt = call.attempt
        request = ChatRequest.model_validate_json(attempt.claimed.request_json)
        return await self._call(attempt.admitted, request, attempt.attempt_id, call.answer, meter)

    def end_of(self, call: Call) -> CallEnd:
        """Return the end of a call that is over now."""
        clock = self._ports.clock
        return CallEnd(clock.now(), round((clock.monotonic() - call.began) * 1000))

    async def settle(
        self,
        call: Call,
        outcome: CallOutcome,
        end: CallEnd,
        *,
        goes_on_after: Callable[[ProviderFailure], bool],
    ) -> Ended | GoOn:
        """Settle the call that its job hangs on, and tell what follows."""
        attempt = call.attempt
        result = result_of(outcome, attempt.row)
        match outcome:
            case Answered(finished):
                await self._admission.answered(attempt.admitted, finished.usage, finished.limits)
                following = completed(call, result, finished, end.at)
            case Broke(failure):
                await self._admission.failed(attempt.admitted, failure)
                following = failed(call, failure, end.at, has_next=goes_on_after(failure))
            case _:
                assert_never(outcome)
        settled = await self._settle(attempt, result, following, end)
        if settled.applied and isinstance(following.step, JobContinues):
            reason = result.error.code if call.answer.text_was_sent and result.error else None
            return GoOn(following.failures, reason or attempt.restart_reason)
        return Ended()

    async def settle_beside(
        self, attempt: Attempt, outcome: Broke | Overtaken, end: CallEnd
    ) -> SettledBeside:
        """Settle a call whose job goes on by another one; that one must be settled after it."""
        match outcome:
            case Broke(failure):
                failures = failure.weight
                await self._admission.failed(attempt.admitted, failure)
            case Overtaken(was_called=False):
                failures = 0
                await self._admission.not_called(attempt.admitted)
            case Overtaken(usage):
                failures = 0
                await self._admission.answered(attempt.admitted, usage)
            case _:
                assert_never(outcome)
        following = Following(JobContinues(), attempt.claimed.failures_so_far + failures)
        settled = await self._settle(attempt, result_of(outcome, attempt.row), following, end)
        # What is paid, an allowance taken off, only the message says as it was committed.
        costs = [UsageRecorded.model_validate_json(r.message.body).cost_usd for r in settled.outbox]
        return SettledBeside(sum(costs, ZERO_USD), failures) if costs else SettledBeside()

    async def _settle(
        self, attempt: Attempt, result: AttemptResult, following: Following, end: CallEnd
    ) -> SettledJob:
        settlement = settlement_of(attempt, result, following, end, self._worker)
        settled = await self._ports.attempts.settle(settlement)
        if settled.applied and settled.terminal_frame is not None:
            await self._ports.frames.send(stream_key(attempt.job.job_id), settled.terminal_frame)
        await self._committed.flush(settled.outbox)
        return settled
