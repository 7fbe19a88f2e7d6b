"""Puts a candidate's call on the books, or lets the job wait: for its gate, a budget, a provider.

Invariant: whatever happens, the job's command comes back: from the broker, the outbox or a parking
lot.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol, assert_never

from services.inference_worker.use_cases.settlements import Attempt
from services.inference_worker.use_cases.turns import Run, Turn
from shared.domain.budgets import hedge_scope, scopes_of
from shared.domain.claims import Claimed, ClaimRequest, Divert, NoRoom, Parking, PutOff, Unclaimable
from shared.domain.errors import TransientError
from shared.domain.gates import CHAT_QUEUE_BY_TIER
from shared.domain.ids import AttemptId, QueueName
from shared.domain.jobs import Waiting, WaitingReason
from shared.domain.outgoing import DelayedMessage, OutgoingMessage
from shared.domain.retry import RUNGS, next_delay, spread
from shared.messages.commands import CompleteChat
from shared.messages.endings import ending, failure
from shared.messages.frames import JobExpired
from shared.messages.retries import delayed
from shared.ports.admission import Admitted, HeldUp
from shared.ports.clock import Clock, Ids
from shared.ports.messaging import CommittedMessages, MessagePublisher
from shared.ports.work import AttemptRepository

_JOBS_EXCHANGE = "jobs"
_STEP_BACK = RUNGS[0].delay
"""How long a job waits whose gate shut between delivery and call."""


class WorkGate(Protocol):
    """Whether provider calls may start, from memory."""

    def lets_work_start(self, queue: QueueName) -> bool:
        """Tell whether a call for a job of this queue may start now."""
        ...


@dataclass(frozen=True, slots=True)
class Lease:
    """Who takes leases, and for how long."""

    worker: str
    duration: timedelta


@dataclass(frozen=True, slots=True)
class ChatPorts:
    """What the use case acts through."""

    attempts: AttemptRepository
    committed: CommittedMessages
    publisher: MessagePublisher
    gate: WorkGate
    clock: Clock
    ids: Ids


@dataclass(frozen=True, slots=True)
class Unsure:
    """The database did not say whether an attempt is on the books; it must not be called."""

    attempt: Attempt


class Claims:
    """What a worker may do with a job before and between its calls."""

    def __init__(self, ports: ChatPorts, lease: Lease) -> None:
        self._ports = ports
        self._lease = lease

    async def claim(self, run: Run, admitted: Admitted) -> Attempt | NoRoom | Divert | None:
        """Return the claimed attempt; None when the job must not be worked on now.

        Raises:
            TransientError: Database or broker are away; the command must come back.
        """
        job = run.job
        if not self._ports.gate.lets_work_start(CHAT_QUEUE_BY_TIER[job.tier]):
            await self._step_back(run, _STEP_BACK)
            return None
        request = self._request(run, run.turns[0])
        outcome = await self._ports.attempts.claim(request)
        match outcome:
            case Claimed():
                return _attempt(run, outcome, request, admitted, run.turns[0])
            case Divert() | NoRoom():
                return outcome
            case Unclaimable.DEADLINE_PASSED:
                frame = ending(JobExpired(job_id=job.job_id))
                await self._ports.committed.flush(
                    await self._ports.attempts.expire(job.job_id, frame)
                )
            case Unclaimable.GATE_SHUT:
                await self._step_back(run, _STEP_BACK)
            case Unclaimable.MISSING | Unclaimable.DONE | Unclaimable.LEASED:
                pass
            case _:
                assert_never(outcome)
        return None

    async def claim_beside(
        self, run: Run, first: Attempt, turn: Turn, admitted: Admitted
    ) -> Attempt | Unsure | None:
        """Return a second attempt beside the first; None when there is to be none.

        Whatever stands in its way, the job goes on by its first attempt.
        """
        if not self._ports.gate.lets_work_start(CHAT_QUEUE_BY_TIER[run.job.tier]):
            return None
        request = self._request(run, turn, is_hedge=True)
        try:
            outcome = await self._ports.attempts.claim(request)
        except TransientError:
            return Unsure(_attempt(run, first.claimed, request, admitted, turn))
        if isinstance(outcome, Claimed):
            return _attempt(run, outcome, request, admitted, turn)
        return None

    async def wait_for_room(self, run: Run, no_room: NoRoom) -> None:
        """Park the job; one that a candidate was asked for comes back to the first by itself."""
        if run.is_ours:
            await self._step_back(run, self._comes_back_in(run, no_room))
            return
        job_id, command = run.job.job_id, _command(run.job)
        await self._ports.attempts.park(
            Parking(job_id, self._lease.worker, no_room, run.hold_usd, command)
        )

    async def put_off(self, run: Run, held_up: HeldUp) -> None:
        """Let the job wait until a provider may be asked again, and say so."""
        delay = spread(held_up.until - self._ports.clock.now(), run.job.job_id)
        waiting = Waiting(WaitingReason.PROVIDER_COOLDOWN, held_up.until, held_up.detail)
        await self._put_off(run, max(delay, _STEP_BACK), waiting)

    async def refuse(self, job: CompleteChat, code: str, message: str) -> None:
        """End a job that no provider may be called for, unpaid."""
        frame = failure(job.job_id, code, message)
        await self._ports.committed.flush(
            await self._ports.attempts.fail_unstarted(job.job_id, code, message, frame)
        )

    def _request(self, run: Run, turn: Turn, *, is_hedge: bool = False) -> ClaimRequest:
        job, candidate = run.job, turn.candidate
        scopes = scopes_of(job.tier, job.user_id, job.key_id, candidate.provider)
        if is_hedge:
            scopes = (*scopes, hedge_scope(job.tier))
        return ClaimRequest(
            job_id=job.job_id,
            attempt_id=AttemptId(self._ports.ids.new("att")),
            worker=self._lease.worker,
            lease=self._lease.duration,
            provider=candidate.provider,
            model=candidate.model,
            price_id=turn.row.id,
            hold_usd=turn.hold_usd,
            is_fallback=turn.is_fallback,
            scopes=[str(scope) for scope in scopes],
            now=self._ports.clock.now(),
            is_diverted=run.is_diverted,
            passed_over=[] if is_hedge else [*run.passed_over],
            arm=run.arm,
            is_hedge=is_hedge,
        )

    def _comes_back_in(self, run: Run, no_room: NoRoom) -> timedelta:
        delay = next_delay(run.failures, None, jitter=0.0)
        if no_room.until is None:
            return delay
        return min(delay, no_room.until - self._ports.clock.now())

    async def _step_back(self, run: Run, wait: timedelta) -> None:
        """Bring the command back later; a job that we hold is queued again first."""
        if run.is_ours:
            await self._put_off(run, wait, None)
            return
        command = delayed(_command(run.job), wait, self._ports.clock.now())
        await self._ports.publisher.publish(command.message)

    async def _put_off(self, run: Run, wait: timedelta, waiting: Waiting | None) -> None:
        now = self._ports.clock.now()
        command = delayed(_command(run.job), wait, now)
        if waiting is not None:  # to the second, and to be woken if a person closes the circuit
            command = DelayedMessage(_command(run.job), now + wait)
        job_id, worker = run.job.job_id, self._lease.worker
        put_off = await self._ports.attempts.put_off(PutOff(job_id, worker, command, waiting))
        await self._ports.committed.flush(put_off.outbox)


def _attempt(
    run: Run, claimed: Claimed, request: ClaimRequest, admitted: Admitted, turn: Turn
) -> Attempt:
    return Attempt(
        job=run.job,
        command=_command(run.job),
        admitted=admitted,
        row=turn.row,
        claimed=claimed,
        attempt_id=request.attempt_id,
        hold_usd=turn.hold_usd,
        is_fallback=turn.is_fallback,
        restart_reason=run.restart_reason,
        arm=run.arm,
        is_hedge=request.is_hedge,
    )


def _command(job: CompleteChat) -> OutgoingMessage:
    return OutgoingMessage(
        message_id=job.message_id,
        exchange=_JOBS_EXCHANGE,
        routing_key=CHAT_QUEUE_BY_TIER[job.tier],
        body=job.model_dump_json().encode(),
    )
