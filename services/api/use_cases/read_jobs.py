"""Reads and cancels the caller's jobs."""

from services.api.schemas.jobs import JobPage, job_body, job_json, job_page
from services.api.use_cases.flushing import GatheredFlush
from services.api.use_cases.gates import Gates
from services.api.use_cases.refusals import RefusalCode, RefusedError, not_found
from services.api.use_cases.results import Results
from shared.domain.access import Caller
from shared.domain.ids import JobId
from shared.domain.jobs import FINAL_STATUSES, JobStatus
from shared.domain.views import JobView
from shared.messages.endings import ending
from shared.messages.frames import JobCancelled
from shared.ports.work import JobRepository


class ReadJobs:
    """The caller's jobs; another user's job does not exist."""

    def __init__(self, jobs: JobRepository, gates: Gates, results: Results) -> None:
        self._jobs = jobs
        self._gates = gates
        self._results = results

    async def one(self, caller: Caller, job_id: JobId) -> bytes:
        """Return a job's JSON, result and attempts included.

        Raises:
            RefusedError: There is no such job.
        """
        view = await self._jobs.get(job_id, caller.user_id)
        if view is None:
            raise not_found("job", job_id)
        return await self.json_of(view)

    async def json_of(self, view: JobView) -> bytes:
        """Return the JSON of a job that was just read."""
        body = job_body(view, await self._gates.waiting(view))
        return job_json(body, await self._results.result_json(view))

    async def page(
        self, caller: Caller, status: JobStatus | None, limit: int, after: JobId | None
    ) -> JobPage:
        """Return jobs newest first, older than `after`."""
        views = await self._jobs.list_of_user(
            caller.user_id, status=status, limit=limit + 1, after=after
        )
        return job_page([(view, await self._gates.waiting(view)) for view in views], limit)


class CancelJob:
    """Cancels a job that has not started. Safe to repeat: a cancelled job is finished."""

    def __init__(self, jobs: JobRepository, read: ReadJobs, flush: GatheredFlush) -> None:
        self._jobs = jobs
        self._read = read
        self._flush = flush

    async def __call__(self, caller: Caller, job_id: JobId) -> bytes:
        """Return the cancelled job's JSON.

        Raises:
            RefusedError: There is no such job, it is running, or it is over.
        """
        frame = ending(JobCancelled(job_id=job_id))
        rows = await self._jobs.cancel(job_id, caller.user_id, frame)
        view = await self._jobs.get(job_id, caller.user_id)
        if view is None:
            raise not_found("job", job_id)
        if rows is None:
            raise _too_late(view)
        self._flush.add(rows)
        return await self._read.json_of(view)


def _too_late(view: JobView) -> RefusedError:
    if view.status in FINAL_STATUSES:
        return RefusedError(
            RefusalCode.JOB_FINISHED, f"job {view.id} is over: it has {view.status}"
        )
    return RefusedError(
        RefusalCode.JOB_RUNNING, f"job {view.id} is running and will be paid for; wait for its end"
    )
