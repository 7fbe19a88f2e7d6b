"""What a finished job shows, whichever way it ended."""

from dataclasses import replace

import pytest

from services.api.use_cases.results import (
    Results,
    TerminalFrame,
    answer_of,
    answer_text,
    answering_attempt,
    terminal_frame,
)
from shared.domain.ids import JobId
from shared.domain.jobs import JobKind, JobStatus
from shared.domain.views import ErrorView, JobView
from shared.messages.frames import (
    ErrorFrame,
    JobCancelled,
    JobExpired,
    JobFailed,
)
from tests.support.fakes_of_collections import MemoryVectors
from tests.support.job_views import job_view

JOB = JobId("job_1")


@pytest.mark.parametrize(
    ("view", "frame"),
    [
        (job_view(JOB, JobStatus.QUEUED), None),
        (job_view(JOB, JobStatus.RUNNING), None),
        (job_view(JOB, JobStatus.CANCELLED), JobCancelled(job_id=JOB)),
        (job_view(JOB, JobStatus.EXPIRED), JobExpired(job_id=JOB)),
        (
            replace(job_view(JOB, JobStatus.FAILED), error=ErrorView("no_price", "no price")),
            JobFailed(job_id=JOB, error=ErrorFrame(code="no_price", message="no price")),
        ),
        (
            job_view(JOB, JobStatus.FAILED),
            JobFailed(job_id=JOB, error=ErrorFrame(code="unknown", message="the job failed")),
        ),
    ],
)
def test_an_end_has_its_frame(view: JobView, frame: TerminalFrame | None) -> None:
    assert terminal_frame(view) == frame


async def test_only_a_finished_job_has_a_last_frame_and_a_result() -> None:
    results = Results(MemoryVectors())
    view = job_view(JOB, JobStatus.RUNNING)
    assert (await results.terminal_json(view), await results.result_json(view)) == (None, None)
    cancelled = await results.terminal_json(job_view(JOB, JobStatus.CANCELLED))
    assert cancelled == JobCancelled(job_id=JOB).model_dump_json().encode()


@pytest.mark.parametrize("result", [None, {}, {"message": {}}, {"message": {"content": None}}])
def test_a_result_of_another_shape_has_no_answer(result: object) -> None:
    assert answer_of(result) is None


def test_only_a_chat_job_that_succeeded_has_an_answer() -> None:
    succeeded = job_view(JOB, JobStatus.SUCCEEDED)
    assert answer_text(succeeded) is None
    assert answer_text(job_view(JOB, JobStatus.FAILED)) is None
    embedded = replace(succeeded, kind=JobKind.EMBED)
    assert (answer_text(embedded), answering_attempt(embedded)) == (None, None)
