from shared.domain.ids import JobId
from shared.messages.frames import lane_pattern, stream_key
from shared.system import RandomIds


def test_frames_are_keyed_by_lane_and_job() -> None:
    assert stream_key(JobId("job_12ab")) == "job.ab.job_12ab"


def test_a_lane_takes_every_job_of_its_kind() -> None:
    assert lane_pattern(JobId("job_12ab")) == lane_pattern(JobId("job_77ab")) == "job.ab.*"


def test_jobs_spread_over_256_lanes() -> None:
    ids = RandomIds()
    lanes = {lane_pattern(JobId(ids.new("job"))) for _ in range(5000)}
    assert 250 < len(lanes) <= 256
