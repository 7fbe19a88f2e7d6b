"""Reading and cancelling jobs."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response

from services.api.dependencies import BearerKey
from services.api.routes.answers import answer, raw_answer
from services.api.routes.parameters import After, JobIdPath
from services.api.schemas.jobs import JobBody, JobPage
from services.api.use_cases.read_jobs import CancelJob, ReadJobs
from shared.domain.access import Caller
from shared.domain.ids import JobId
from shared.domain.jobs import JobStatus


def create_router(*, read_jobs: ReadJobs, cancel_job: CancelJob, key: BearerKey) -> APIRouter:
    """Return the routes over the caller's jobs; another user's job is 404."""
    router = APIRouter(tags=["jobs"])

    @router.get("/v1/jobs", response_model=JobPage)
    async def list_jobs(
        caller: Annotated[Caller, Depends(key)],
        status: JobStatus | None = None,
        limit: Annotated[int, Query(ge=1, le=100)] = 20,
        after: After = None,
    ) -> Response:
        """List jobs, newest first; `after` is the last id of the page before."""
        older_than = None if after is None else JobId(after)
        return answer(await read_jobs.page(caller, status, limit, older_than))

    @router.get("/v1/jobs/{job_id}", response_model=JobBody)
    async def get_job(job_id: JobIdPath, caller: Annotated[Caller, Depends(key)]) -> Response:
        """Read a job with its result and attempts."""
        return raw_answer(await read_jobs.one(caller, JobId(job_id)))

    @router.delete("/v1/jobs/{job_id}", response_model=JobBody)
    async def cancel(job_id: JobIdPath, caller: Annotated[Caller, Depends(key)]) -> Response:
        """Cancel a job that has not started; 409 once it runs or is over."""
        return raw_answer(await cancel_job(caller, JobId(job_id)))

    return router
