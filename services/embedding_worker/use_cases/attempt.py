"""One batch's attempt: claimed, called, settled with its vectors, all by one attempt id."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import assert_never

from services.embedding_worker.policies.after_failure import (
    AfterFailure,
    FailureFacts,
    Halve,
    NextTarget,
    after_failure,
)
from services.embedding_worker.policies.batches import hold_usd
from services.embedding_worker.use_cases.job_run import JobRun
from services.embedding_worker.use_cases.ports import Identity, Ports
from services.embedding_worker.use_cases.settlements import (
    Call,
    CallTime,
    settled_failure,
    settled_success,
)
from shared.domain.budgets import scopes_of
from shared.domain.catalog import Operation
from shared.domain.claims import (
    Claimed,
    ClaimOutcome,
    ClaimRequest,
    Divert,
    NoRoom,
    Parking,
    PutOff,
    Unclaimable,
)
from shared.domain.errors import (
    ProviderFailure,
    ProviderPermanentError,
    ProviderTransientError,
    TransientError,
)
from shared.domain.failed_jobs import GiveUp, TryLater
from shared.domain.gates import EMBED_INTERACTIVE
from shared.domain.ids import AttemptId, JobId
from shared.domain.jobs import Waiting, WaitingReason
from shared.domain.outgoing import DelayedMessage
from shared.domain.provider_calls import EmbeddingAnswer, EmbeddingCall
from shared.domain.retry import RUNGS, spread
from shared.domain.work import JobContinues, Settlement, StoredVector
from shared.messages.endings import ending
from shared.messages.frames import JobExpired, stream_key
from shared.messages.retries import delayed
from shared.messages.usage import CallFacts
from shared.ports.admission import LAST_PATIENCE, PATIENCE, Admitted, HeldUp


@dataclass(frozen=True, slots=True)
class GoOn:
    """The job is ours and has batches left."""


@dataclass(frozen=True, slots=True)
class Stop:
    """The job has ended, waits, or is another worker's."""


class BatchAttempt:
    """Brings a run one provider call further."""

    def __init__(self, ports: Ports, identity: Identity) -> None:
        self._ports = ports
        self._identity = identity

    async def __call__(self, run: JobRun) -> GoOn | Stop:
        """Embed the run's next batch, unless the gate is shut or the money isn't there.

        Raises:
            TransientError: Database or broker are away.
        """
        if not self._ports.gate.lets_work_start(run.order.queue):
            return await self._step_back(run, RUNGS[0].delay)
        patience = PATIENCE if run.has_next_target else LAST_PATIENCE
        admitted = await self._ports.admission.admit(run.target.candidate, run.tokens, patience)
        if isinstance(admitted, HeldUp):
            return await self._wait_for_provider(run, admitted)
        run.held_until = None
        facts = self._facts(run)
        outcome = await self._claim(run, facts, admitted)
        match outcome:
            case Claimed() as claimed:
                run.is_held = True
                batch, worker = run.batches[0], self._identity.worker
                call = Call(run.order, facts, claimed, run.target, batch, worker)
                return await self._embed(run, call, admitted)
            case Divert():
                run.divert()
                return GoOn()
            case NoRoom() as no_room:
                return await self._wait_for_room(run, no_room, facts.hold_usd)
            case reason:
                return await self._give_up(run, reason)

    async def _claim(self, run: JobRun, facts: CallFacts, admitted: Admitted) -> ClaimOutcome:
        try:
            outcome = await self._ports.attempts.claim(self._request(run, facts))
        except TransientError:
            await self._ports.admission.not_called(admitted)
            raise
        if not isinstance(outcome, Claimed):
            await self._ports.admission.not_called(admitted)
        return outcome

    async def _wait_for_provider(self, run: JobRun, held_up: HeldUp) -> GoOn | Stop:
        """Ask the next target, hold the delivery for a while, or let the job come back."""
        now = self._ports.clock.now()
        run.pass_over(held_up, now)
        if run.has_next_target:
            run.next_target()
            return GoOn()
        run.held_until = run.held_until or now + PATIENCE
        if held_up.until <= run.held_until:
            await self._ports.admission.wait(held_up.until)
            return GoOn()
        delay = max(spread(held_up.until - now, run.order.command.job_id), RUNGS[0].delay)
        waiting = Waiting(WaitingReason.PROVIDER_COOLDOWN, held_up.until, held_up.detail)
        # To the second, and to be woken if a person closes the circuit.
        command = DelayedMessage(run.order.message, now + delay)
        await self._put_off(run, command, waiting)
        return Stop()

    async def _embed(self, run: JobRun, call: Call, admitted: Admitted) -> GoOn | Stop:
        started = self._ports.clock.monotonic()
        outcome = await self._answer(call, admitted)
        took = timedelta(seconds=self._ports.clock.monotonic() - started)
        time = CallTime(self._ports.clock.now(), took // timedelta(milliseconds=1))
        if isinstance(outcome, ProviderFailure):
            await self._ports.admission.failed(admitted, outcome)
            return await self._settle_failure(run, call, outcome, time)
        await self._ports.admission.answered(admitted, outcome.usage, outcome.limits)
        is_last = len(run.batches) == 1
        settlement = settled_success(call, outcome, time, count=run.work.count if is_last else None)
        positions = (text.position for text in call.batch)
        vectors = [StoredVector(*one) for one in zip(positions, outcome.vectors, strict=True)]
        run.batch_stored()
        return await self._settle(run, call, settlement, vectors)

    async def _answer(self, call: Call, admitted: Admitted) -> EmbeddingAnswer | ProviderFailure:
        space = call.target.space
        request = EmbeddingCall(
            attempt_id=call.facts.attempt_id,
            model=space.model,
            texts=[space.prefix + text.text for text in call.batch],
            dimensions=space.dimensions,
            credential=admitted.credential,
            is_interactive=call.order.queue == EMBED_INTERACTIVE,
        )
        try:
            return await self._ports.models[space.provider].embed(request)
        except (ProviderTransientError, ProviderPermanentError) as error:
            return error.failure

    async def _settle_failure(
        self, run: JobRun, call: Call, failed: ProviderFailure, time: CallTime
    ) -> GoOn | Stop:
        following = after_failure(
            FailureFacts(
                failure=failed,
                failures=call.claimed.failures_so_far + failed.weight,
                texts=len(call.batch),
                has_next=run.has_next_target,
            )
        )
        settlement = settled_failure(call, failed, time, following)
        _go_on(run, following)
        return await self._settle(run, call, settlement, ())

    async def _settle(
        self, run: JobRun, call: Call, settlement: Settlement, vectors: Sequence[StoredVector]
    ) -> GoOn | Stop:
        settled = await self._ports.embeddings.settle(
            settlement, run.order.command.job_kind, call.target.space, vectors
        )
        if settled.applied and settled.terminal_frame is not None:
            key = stream_key(settlement.job_id)
            await self._ports.frames.send(key, settled.terminal_frame)
        await self._ports.committed.flush(settled.outbox)
        goes_on = settled.applied and isinstance(settlement.step, JobContinues)
        return GoOn() if goes_on else Stop()

    async def _step_back(self, run: JobRun, delay: timedelta) -> Stop:
        """Let the job wait; its command comes back after `delay`."""
        command = delayed(run.order.message, delay, self._ports.clock.now())
        if run.is_held:
            await self._put_off(run, command, None)
        else:
            await self._ports.publisher.publish(command.message)
        return Stop()

    async def _wait_for_room(self, run: JobRun, no_room: NoRoom, hold_usd: Decimal) -> GoOn | Stop:
        if no_room.concerns_provider and run.has_next_target:
            run.next_target()
            return GoOn()
        job_id, command = run.order.command.job_id, run.order.message
        await self._ports.attempts.park(
            Parking(job_id, self._identity.worker, no_room, hold_usd, command)
        )
        return Stop()

    async def _give_up(self, run: JobRun, reason: Unclaimable) -> Stop:
        if reason is Unclaimable.GATE_SHUT:
            return await self._step_back(run, RUNGS[0].delay)
        if reason is Unclaimable.DEADLINE_PASSED:
            await self._expire(run.order.command.job_id)
        return Stop()

    async def _put_off(self, run: JobRun, command: DelayedMessage, waiting: Waiting | None) -> None:
        job_id, worker = run.order.command.job_id, self._identity.worker
        put_off = await self._ports.attempts.put_off(PutOff(job_id, worker, command, waiting))
        await self._ports.committed.flush(put_off.outbox)

    async def _expire(self, job_id: JobId) -> None:
        rows = await self._ports.embeddings.expire(job_id, ending(JobExpired(job_id=job_id)))
        await self._ports.committed.flush(rows)

    def _facts(self, run: JobRun) -> CallFacts:
        target = run.target
        return CallFacts(
            attempt_id=AttemptId(self._ports.ids.new("att")),
            job_id=run.order.command.job_id,
            caller=run.order.caller,
            operation=Operation.EMBED,
            provider=target.space.provider,
            model=target.space.model,
            price_id=target.price.id,
            hold_usd=hold_usd(run.batches[0], target.limits, target.price, target.space.prefix),
            is_fallback=target.is_fallback,
            arm=run.arm,
        )

    def _request(self, run: JobRun, facts: CallFacts) -> ClaimRequest:
        caller = facts.caller
        scopes = scopes_of(caller.tier, caller.user_id, caller.key_id, facts.provider)
        return ClaimRequest(
            job_id=facts.job_id,
            attempt_id=facts.attempt_id,
            worker=self._identity.worker,
            lease=self._identity.lease,
            provider=facts.provider,
            model=facts.model,
            price_id=facts.price_id,
            hold_usd=facts.hold_usd,
            is_fallback=facts.is_fallback,
            scopes=[str(scope) for scope in scopes],
            now=self._ports.clock.now(),
            is_diverted=run.is_diverted,
            passed_over=[*run.passed_over],
            arm=run.arm,
        )


def _go_on(run: JobRun, following: AfterFailure) -> None:
    match following:
        case Halve():
            run.halve_batch()
        case NextTarget():
            run.next_target()
        case TryLater() | GiveUp():
            pass
        case _:
            assert_never(following)
