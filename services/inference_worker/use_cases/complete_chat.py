"""Answers one chat job: a paid attempt per candidate until one answers or the job must wait."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Protocol, assert_never

from services.inference_worker.use_cases.attempt import Attempt, Ended, GoOn, RunAttempt
from shared.domain.budgets import scopes_of
from shared.domain.errors import UnknownModelError, UnknownPriceError
from shared.domain.gates import CHAT_QUEUE_BY_TIER
from shared.domain.ids import AttemptId, QueueName
from shared.domain.outgoing import OutgoingMessage
from shared.domain.pricing import PriceBook, PriceRow, worst_case_usd
from shared.domain.retry import RUNGS
from shared.domain.routing import Candidate, price_of
from shared.domain.work import Claimed, ClaimRequest, NoRoom, Unclaimable
from shared.messages.commands import CompleteChat
from shared.messages.endings import ending, failure
from shared.messages.frames import JobExpired
from shared.messages.retries import delayed
from shared.ports.clock import Clock, Ids
from shared.ports.messaging import CommittedMessages, MessagePublisher
from shared.ports.work import AttemptRepository

_JOBS_EXCHANGE = "jobs"
_LONGEST_STEP_BACK = RUNGS[-1].delay
_STEP_BACK = RUNGS[0].delay
"""How long a job waits whose gate shut between delivery and call."""


class WorkGate(Protocol):
    """Whether provider calls may start, from memory."""

    def lets_work_start(self, queue: QueueName) -> bool:
        """Tell whether a call for a job of this queue may start now."""
        ...


class Route(Protocol):
    """Who may answer a job."""

    def __call__(self, job: CompleteChat) -> Sequence[Candidate]:
        """Return the candidates in order.

        Raises:
            UnknownModelError: The job asks for a model that its tier is not offered.
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


@dataclass(frozen=True, slots=True)
class _Turn:
    """A candidate's turn, with the price of its call at the time it begins."""

    candidate: Candidate
    row: PriceRow
    hold_usd: Decimal
    is_fallback: bool
    began_at: datetime


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
            turns = self._turns(job)
        except UnknownModelError as error:
            await self._refuse(job, "unknown_model", str(error))
            return
        except UnknownPriceError as error:
            await self._refuse(job, "unknown_price", str(error))
            return
        restart_reason: str | None = None
        for position, turn in enumerate(turns):  # pragma: no branch - the last one never goes on
            if position > 0:
                turn = self._turn(job, turn.candidate, position)  # noqa: PLW2901 - priced anew
            attempt = await self._open(job, turn, restart_reason, is_ours=position > 0)
            if attempt is None:
                return
            end = await self._run(attempt, has_next=position < len(turns) - 1)
            await self._ports.committed.flush(end.outbox)
            match end:
                case Ended():
                    return
                case GoOn():
                    restart_reason = end.restart_reason
                case _:
                    assert_never(end)

    def _turns(self, job: CompleteChat) -> Sequence[_Turn]:
        return [self._turn(job, one, position) for position, one in enumerate(self._route(job))]

    def _turn(self, job: CompleteChat, candidate: Candidate, position: int) -> _Turn:
        """Return a candidate's turn if it began now.

        Raises:
            UnknownPriceError: Nothing says what its call costs.
        """
        now = self._ports.clock.now()
        row = price_of(self._prices, candidate, now)
        hold = worst_case_usd(row, job.input_tokens_bound, job.max_output_tokens)
        return _Turn(candidate, row, hold, is_fallback=position > 0, began_at=now)

    async def _open(
        self, job: CompleteChat, turn: _Turn, restart_reason: str | None, *, is_ours: bool
    ) -> Attempt | None:
        """Return the claimed attempt; None when the job must not be worked on now."""
        if not self._ports.gate.lets_work_start(CHAT_QUEUE_BY_TIER[job.tier]):
            await self._step_back(job, _STEP_BACK, is_ours=is_ours)
            return None
        attempt_id = AttemptId(self._ports.ids.new("att"))
        outcome = await self._ports.attempts.claim(self._claim(job, turn, attempt_id))
        match outcome:
            case Claimed():
                return Attempt(
                    job=job,
                    command=_command(job),
                    candidate=turn.candidate,
                    row=turn.row,
                    claimed=outcome,
                    attempt_id=attempt_id,
                    hold_usd=turn.hold_usd,
                    is_fallback=turn.is_fallback,
                    restart_reason=restart_reason,
                )
            case NoRoom(scope, until):
                await self._park(job, scope, until - self._ports.clock.now(), is_ours=is_ours)
            case Unclaimable.DEADLINE_PASSED:
                frame = ending(JobExpired(job_id=job.job_id))
                await self._ports.committed.flush(
                    await self._ports.attempts.expire(job.job_id, frame)
                )
            case Unclaimable.MISSING | Unclaimable.DONE | Unclaimable.LEASED:
                pass
            case _:
                assert_never(outcome)
        return None

    def _claim(self, job: CompleteChat, turn: _Turn, attempt_id: AttemptId) -> ClaimRequest:
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
            now=turn.began_at,
        )

    async def _park(self, job: CompleteChat, scope: str, wait: timedelta, *, is_ours: bool) -> None:
        """Let the job wait for room in a budget."""
        if is_ours:
            # Only a queued job can be parked: it comes back, and starts with its first candidate.
            await self._step_back(job, min(wait, _LONGEST_STEP_BACK), is_ours=True)
            return
        until = self._ports.clock.now() + wait
        await self._ports.attempts.park(job.job_id, scope, until, _command(job))

    async def _step_back(self, job: CompleteChat, wait: timedelta, *, is_ours: bool) -> None:
        """Bring the command back later; a job that we hold is queued again first."""
        command = delayed(_command(job), wait, self._ports.clock.now())
        if not is_ours:
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


def _command(job: CompleteChat) -> OutgoingMessage:
    return OutgoingMessage(
        message_id=job.message_id,
        exchange=_JOBS_EXCHANGE,
        routing_key=CHAT_QUEUE_BY_TIER[job.tier],
        body=job.model_dump_json().encode(),
    )
