"""Embeds one job's texts: a paid attempt per batch until none is left or the job must wait."""

from typing import Protocol

from services.embedding_worker.policies.targets import targets_for
from services.embedding_worker.use_cases.attempt import BatchAttempt, GoOn
from services.embedding_worker.use_cases.job_run import JobRun, Order
from services.embedding_worker.use_cases.ports import Ports
from services.embedding_worker.use_cases.settlements import nothing_left, result_json
from shared.domain.collections import EmbeddingWork
from shared.domain.embedding_space import space_named
from shared.domain.errors import UnknownModelError, UnknownPriceError
from shared.domain.ids import JobId, QueueName
from shared.domain.pricing import PriceRow
from shared.domain.routes import Candidate, Routed
from shared.domain.views import ErrorView
from shared.messages.commands import EmbedTexts
from shared.messages.endings import failure


class Route(Protocol):
    """Who may embed a job's texts, and at which price."""

    def candidates(self, command: EmbedTexts) -> Routed:
        """Return the candidates in order, and the arm that the user is in.

        Raises:
            UnknownModelError: The job asks for a model that its tier is not offered.
            TransientError: It is not known yet who is inside the rollout.
        """
        ...

    def price(self, candidate: Candidate) -> PriceRow:
        """Return the price in force now.

        Raises:
            UnknownPriceError: There is none.
        """
        ...


class EmbedJob:
    """Idempotent by job: texts that have a vector are skipped, a job that is done stays so."""

    def __init__(self, ports: Ports, route: Route, attempt: BatchAttempt) -> None:
        self._ports = ports
        self._route = route
        self._attempt = attempt

    async def __call__(self, command: EmbedTexts, queue: QueueName) -> None:
        """Bring the job as far as it can be brought now.

        Raises:
            TransientError: Database or broker are away; the command must come back.
        """
        job_id = command.job_id
        work = await self._ports.embeddings.pending(job_id, command.job_kind)
        if not work.texts:
            await self._succeed(job_id, work)
            return
        try:
            routed = self._route.candidates(command)
            targets = targets_for(work, routed.candidates, self._route.price)
        except UnknownModelError as error:
            await self._fail(job_id, ErrorView("unknown_model", str(error)))
        except UnknownPriceError as error:
            await self._fail(job_id, ErrorView("unknown_price", str(error)))
        else:
            run = JobRun(Order(command, queue), work, targets, routed.arm)
            while isinstance(await self._attempt(run), GoOn):
                run.price_anew(self._route.price)

    async def _succeed(self, job_id: JobId, work: EmbeddingWork) -> None:
        space = None if work.space_id is None else space_named(work.space_id)
        frame = nothing_left(job_id, space, work.count)
        rows = await self._ports.embeddings.succeed_empty(
            job_id, result_json(space, work.count), frame
        )
        await self._ports.committed.flush(rows)

    async def _fail(self, job_id: JobId, error: ErrorView) -> None:
        frame = failure(job_id, error.code, error.message)
        rows = await self._ports.embeddings.fail_unstarted(job_id, error, frame)
        await self._ports.committed.flush(rows)
