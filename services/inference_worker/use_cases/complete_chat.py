"""Answers one chat job: a paid attempt per candidate until one answers or the job must wait."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol, assert_never

from services.inference_worker.use_cases.attempt import Attempt, Ended, GoOn, RunAttempt
from services.inference_worker.use_cases.turns import Run, Turn
from shared.domain.budgets import scopes_of
from shared.domain.errors import UnknownModelError, UnknownPriceError
from shared.domain.gates import CHAT_QUEUE_BY_TIER
from shared.domain.ids import AttemptId, QueueName
from shared.domain.outgoing import OutgoingMessage
from shared.domain.pricing import PriceBook, worst_case_usd
from shared.domain.retry import RUNGS, next_delay
from shared.domain.routing import Candidate, Routed, price_of
from shared.domain.work import Claimed, ClaimRequest, Divert, NoRoom, Parking, Unclaimable
from shared.messages.commands import CompleteChat
from shared.messages.endings import ending, failure
from shared.messages.frames import JobExpired
from shared.messages.retries import delayed
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


class Route(Protocol):
    """Who may answer a job."""

    def __call__(self, job: CompleteChat) -> Routed:
        """Return the candidates in order, and the arm that the user is in.

        Raises:
            UnknownModelError: The job asks for a model that its tier is not offered.
            TransientError: It is not known yet who is inside the rollout.
        """
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


class CompleteChatJob:
    """Idempotent by job: a second delivery finds the job leased or done and changes nothing."""

    def __init__(
        self, ports: ChatPorts, route: Route, prices: PriceBook, run: RunAttempt, lease: Lease
    ) -> None:
        self._ports = ports
        self._route = route
        self._prices = prices
        self._run = run
        self._lease = lease

    async def __call__(self, job: CompleteChat) -> None:
        """Bring the job as far as it can be brought now.

        Raises:
            TransientError: Database or broker are away; the command must come back.
        """
        try:
            run = self._begin(job)
        except UnknownModelError as error:
            await self._refuse(job, "unknown_model", str(error))
            return
        except UnknownPriceError as error:
            await self._refuse(job, "unknown_price", str(error))
            return
        await self._take_turns(run)

    async def _take_turns(self, run: Run) -> None:
        """Let one candidate after the other answer, until one has or the job must wait."""
        while run.turns:
            if not await self._takes_turn(run):
                return
        if run.no_room is not None:  # pragma: no branch - the last attempt never goes on
            await self._wait_for_room(run, run.no_room)

    async def _takes_turn(self, run: Run) -> bool:
        """Ask the next candidate; tell whether another one's turn has come."""
        if run.is_ours:  # the calls before may have lasted until prices changed
            turn = run.turns[0]
            run.begin(self._turn(run.job, turn.candidate, is_fallback=turn.is_fallback))
        outcome = await self._claim(run)
        match outcome:
            case Attempt():
                return await self._goes_on(run, outcome)
            case Divert():
                run.divert()
                return True
            case NoRoom(concerns_provider=True):
                run.skip(outcome)
                return True
            case NoRoom():
                await self._wait_for_room(run, outcome)
                return False
            case None:
                return False
            case _:
                assert_never(outcome)

    async def _goes_on(self, run: Run, attempt: Attempt) -> bool:
        """Make the attempt; tell whether the next candidate is to be asked."""
        end = await self._run(attempt, has_next=len(run.turns) > 1)
        await self._ports.committed.flush(end.outbox)
        match end:
            case Ended():
                return False
            case GoOn():
                run.go_on(attempt.claimed.failures_so_far + 1, end.restart_reason)
                return True
            case _:
                assert_never(end)

    def _begin(self, job: CompleteChat) -> Run:
        routed = self._route(job)
        turns = [
            self._turn(job, candidate, is_fallback=position > 0)
            for position, candidate in enumerate(routed.candidates)
        ]
        return Run(job, turns, routed.arm)

    def _turn(self, job: CompleteChat, candidate: Candidate, *, is_fallback: bool) -> Turn:
        """Return a candidate's turn if it began now.

        Raises:
            UnknownPriceError: Nothing says what its call costs.
        """
        row = price_of(self._prices, candidate, self._ports.clock.now())
        hold = worst_case_usd(row, job.input_tokens_bound, job.max_output_tokens)
        return Turn(candidate, row, hold, is_fallback)

    async def _claim(self, run: Run) -> Attempt | NoRoom | Divert | None:
        """Return the claimed attempt; None when the job must not be worked on now."""
        job = run.job
        if not self._ports.gate.lets_work_start(CHAT_QUEUE_BY_TIER[job.tier]):
            await self._step_back(run, _STEP_BACK)
            return None
        attempt_id = AttemptId(self._ports.ids.new("att"))
        outcome = await self._ports.attempts.claim(self._request(run, attempt_id))
        match outcome:
            case Claimed():
                return _attempt(run, outcome, attempt_id)
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

    def _request(self, run: Run, attempt_id: AttemptId) -> ClaimRequest:
        job, turn = run.job, run.turns[0]
        candidate = turn.candidate
        scopes = scopes_of(job.tier, job.user_id, job.key_id, candidate.provider)
        return ClaimRequest(
            job_id=job.job_id,
            attempt_id=attempt_id,
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
            arm=run.arm,
        )

    async def _wait_for_room(self, run: Run, no_room: NoRoom) -> None:
        """Park the job; one that a candidate was asked for comes back to the first by itself."""
        if run.is_ours:
            await self._step_back(run, self._comes_back_in(run, no_room))
            return
        job_id, command = run.job.job_id, _command(run.job)
        await self._ports.attempts.park(
            Parking(job_id, self._lease.worker, no_room, run.hold_usd, command)
        )

    def _comes_back_in(self, run: Run, no_room: NoRoom) -> timedelta:
        delay = next_delay(run.failures, None, jitter=0.0)
        if no_room.until is None:
            return delay
        return min(delay, no_room.until - self._ports.clock.now())

    async def _step_back(self, run: Run, wait: timedelta) -> None:
        """Bring the command back later; a job that we hold is queued again first."""
        job = run.job
        command = delayed(_command(job), wait, self._ports.clock.now())
        if not run.is_ours:
            await self._ports.publisher.publish(command.message)
            return
        settled = await self._ports.attempts.give_back(job.job_id, self._lease.worker, command)
        await self._ports.committed.flush(settled.outbox)

    async def _refuse(self, job: CompleteChat, code: str, message: str) -> None:
        """End a job that no provider may be called for, unpaid."""
        frame = failure(job.job_id, code, message)
        await self._ports.committed.flush(
            await self._ports.attempts.fail_unstarted(job.job_id, code, message, frame)
        )


def _attempt(run: Run, claimed: Claimed, attempt_id: AttemptId) -> Attempt:
    turn = run.turns[0]
    return Attempt(
        job=run.job,
        command=_command(run.job),
        candidate=turn.candidate,
        row=turn.row,
        claimed=claimed,
        attempt_id=attempt_id,
        hold_usd=turn.hold_usd,
        is_fallback=turn.is_fallback,
        restart_reason=run.restart_reason,
        arm=run.arm,
    )


def _command(job: CompleteChat) -> OutgoingMessage:
    return OutgoingMessage(
        message_id=job.message_id,
        exchange=_JOBS_EXCHANGE,
        routing_key=CHAT_QUEUE_BY_TIER[job.tier],
        body=job.model_dump_json().encode(),
    )
