import pytest

from shared.domain.jobs import FINAL_STATUSES, JobStatus, may_follow
from shared.domain.usage import NO_USAGE, TokenUsage


@pytest.mark.parametrize("final", sorted(FINAL_STATUSES))
def test_nothing_follows_an_end(final: JobStatus) -> None:
    assert not any(may_follow(final, status) for status in JobStatus)


def test_a_running_job_may_be_queued_again() -> None:
    assert may_follow(JobStatus.RUNNING, JobStatus.QUEUED)


def test_usage_is_empty_when_nothing_was_consumed() -> None:
    assert NO_USAGE.is_empty
    assert not TokenUsage(1).is_empty
    assert not TokenUsage(0, 1).is_empty
