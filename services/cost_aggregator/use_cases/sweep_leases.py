"""Charges calls whose worker died at their hold, and brings their jobs back or ends them."""

from datetime import datetime
from typing import assert_never

import structlog

from services.cost_aggregator.policies.lost_jobs import may_run_again
from shared.domain.catalog import Operation
from shared.domain.jobs import AttemptOutcome, JobKind
from shared.domain.lost_work import Abandonment, LostAttempt, LostJob
from shared.domain.outgoing import DelayedMessage, OutgoingMessage
from shared.domain.views import ErrorView
from shared.domain.work import AttemptResult, JobFails, JobWaits
from shared.messages.commands import CompleteChat, EmbedTexts
from shared.messages.endings import failure
from shared.messages.usage import CallFacts, usage_message
from shared.ports.clock import Clock, Ids
from shared.ports.messaging import CommittedMessages
from shared.ports.work import LeaseRepository

_log = structlog.stdlib.get_logger(__name__)
_AT_ONCE = 100


class SweepLeases:
    """Idempotent by lease: one that was extended or swept meanwhile is left alone."""

    def __init__(
        self, leases: LeaseRepository, committed: CommittedMessages, clock: Clock, ids: Ids
    ) -> None:
        self._leases = leases
        self._committed = committed
        self._clock = clock
        self._ids = ids

    async def __call__(self) -> int:
        """Sweep what has expired; returns how many jobs that were.

        Raises:
            DatabaseUnavailableError: Some may be left; sweep again.
        """
        lost = await self._leases.expired(_AT_ONCE)
        for job in lost:
            rows = await self._leases.abandon(self._abandonment(job, self._clock.now()))
            await self._committed.flush(rows)
            if rows:
                _log.warning("job.worker_lost", job_id=job.id, attempts=len(job.attempts))
        return len(lost)

    def _abandonment(self, job: LostJob, now: datetime) -> Abandonment:
        usage = [DelayedMessage(_usage(job, attempt, now)) for attempt in job.attempts]
        if may_run_again(job.failure_count, job.failures):
            command = DelayedMessage(self._command(job, now))
            return Abandonment(job, JobWaits(), [*usage, command])
        error = ErrorView("workers_lost", "the job's workers died too often")
        frame = failure(job.id, error.code, error.message)
        return Abandonment(job, JobFails(error), [*usage, DelayedMessage(frame)], frame.body)

    def _command(self, job: LostJob, now: datetime) -> OutgoingMessage:
        message_id = self._ids.new("msg")
        command = _command(job, message_id, now)
        return OutgoingMessage(
            message_id=message_id,
            exchange="jobs",
            routing_key=job.queue,
            body=command.model_dump_json().encode(),
        )


def _command(job: LostJob, message_id: str, now: datetime) -> CompleteChat | EmbedTexts:
    caller = job.caller
    match job.kind:
        case JobKind.CHAT:
            return CompleteChat(
                message_id=message_id,
                correlation_id=job.id,
                occurred_at=now,
                job_id=job.id,
                user_id=caller.user_id,
                key_id=caller.key_id,
                tier=caller.tier,
                model=job.model,
                input_tokens_bound=job.input_tokens_bound,
                max_output_tokens=job.max_output_tokens,
                on_interrupt=job.on_interrupt,
                deadline=job.deadline,
            )
        case JobKind.EMBED | JobKind.INGEST:
            return EmbedTexts(
                message_id=message_id,
                correlation_id=job.id,
                occurred_at=now,
                job_id=job.id,
                user_id=caller.user_id,
                key_id=caller.key_id,
                tier=caller.tier,
                job_kind=job.kind,
                model=job.model,
                deadline=job.deadline,
            )
        case _:
            assert_never(job.kind)


def _usage(job: LostJob, attempt: LostAttempt, now: datetime) -> OutgoingMessage:
    call = CallFacts(
        attempt_id=attempt.id,
        job_id=job.id,
        caller=job.caller,
        operation=Operation.CHAT if job.kind is JobKind.CHAT else Operation.EMBED,
        provider=attempt.provider,
        model=attempt.model,
        price_id=attempt.price_id,
        hold_usd=attempt.hold_usd,
        is_fallback=attempt.is_fallback,
        arm=attempt.arm,
        is_hedge=attempt.is_hedge,
    )
    result = AttemptResult(AttemptOutcome.UNKNOWN, cost_usd=attempt.hold_usd)
    latency = now - attempt.started_at
    return usage_message(
        call, result, ended_at=now, latency_ms=round(latency.total_seconds() * 1000)
    )
