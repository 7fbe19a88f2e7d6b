"""Accepting a job: gate, model, deadline, then one commit of job and command.

Idempotent by (user, idempotency key): the same request again gives the same job.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from services.api.schemas.jobs import JobAccepted, links_of
from services.api.use_cases.flushing import GatheredFlush
from services.api.use_cases.gates import Gates
from services.api.use_cases.refusals import RefusalCode, RefusedError, invalid
from services.api.use_cases.watching import Watches
from shared.domain.access import Caller
from shared.domain.catalog import Operation
from shared.domain.errors import UnknownPriceError
from shared.domain.ids import JobId
from shared.domain.jobs import JobKind
from shared.domain.pricing import PriceBook
from shared.domain.routing import AUTO, RoutingTable, candidates, models_on_offer, price_of
from shared.domain.work import IdempotencyConflict, NewJob
from shared.ports.clock import Clock
from shared.ports.work import JobRepository

JOBS_EXCHANGE = "jobs"


@dataclass(frozen=True, slots=True)
class Acceptance:
    """What every submission goes through; `on_accepted` is told the queue of each new job."""

    jobs: JobRepository
    gates: Gates
    watches: Watches
    flush: GatheredFlush
    routing: RoutingTable
    prices: PriceBook
    clock: Clock
    on_accepted: Callable[[str], None]

    def require_model(self, caller: Caller, operation: Operation, model: str) -> None:
        """Make sure that the caller's tier may ask for the model, and that it has a price.

        Raises:
            RefusedError: It may not, and the message lists what it may ask for; or nothing says
                what the model costs.
        """
        offered = models_on_offer(self.routing, caller.tier, operation)
        if model not in offered:
            raise RefusedError(
                RefusalCode.MODEL_NOT_FOUND,
                f"this model is not offered to tier {caller.tier}; "
                f"ask for one of: {', '.join(offered)}",
                param="model",
            )
        if model != AUTO:
            self._require_price(caller, operation, model)

    def require_future(self, deadline: datetime | None, param: str = "deadline") -> None:
        """Make sure that a moment has not passed yet.

        Raises:
            RefusedError: It has.
        """
        if deadline is not None and deadline <= self.clock.now():
            raise invalid(param, f"{param} lies in the past; leave it out or give a later one")

    async def accept(self, job: NewJob) -> JobAccepted:
        """Commit the job; its command leaves in the background.

        Raises:
            RefusedError: The queue is closed, or the idempotency key was used with another request.
            DatabaseUnavailableError: It is unknown whether the job exists.
        """
        await self.gates.admit(job.queue, job.caller)
        outcome = await self.jobs.submit(job)
        if isinstance(outcome, IdempotencyConflict):
            raise RefusedError(
                RefusalCode.IDEMPOTENCY_CONFLICT,
                f"this Idempotency-Key belongs to job {outcome.job_id}, which had another request; "
                "use a new key",
                param="Idempotency-Key",
            )
        if outcome.outbox is None:
            return await self._earlier(outcome.job_id, job)
        self.watches.expect(job)
        self.flush.add([outcome.outbox])
        self.on_accepted(job.queue)
        return _accepted(job.id, job.kind, job.queue, job.created_at)

    def _require_price(self, caller: Caller, operation: Operation, model: str) -> None:
        asked_for = candidates(self.routing, caller.tier, operation, model, in_rollout=True)[0]
        try:
            price_of(self.prices, asked_for, self.clock.now())
        except UnknownPriceError as error:
            raise RefusedError(
                RefusalCode.UNKNOWN_PRICE,
                "this model has no price at present, so that no call of it can be made; "
                f"ask for another one, or for {AUTO}",
                param="model",
            ) from error

    async def _earlier(self, job_id: JobId, job: NewJob) -> JobAccepted:
        view = await self.jobs.get(job_id, job.caller.user_id)
        if view is None:
            return _accepted(job_id, job.kind, job.queue, job.created_at)
        return _accepted(view.id, view.kind, view.queue, view.created_at)


def _accepted(job_id: JobId, kind: JobKind, queue: str, created_at: datetime) -> JobAccepted:
    return JobAccepted(
        id=job_id, kind=kind, queue=queue, created_at=created_at, links=links_of(job_id)
    )
