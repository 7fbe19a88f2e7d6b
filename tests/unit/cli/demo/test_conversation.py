from decimal import Decimal

import httpx
import pytest
from pydantic import JsonValue

from cli.demo.client import Client
from cli.demo.conversation import Conversation
from cli.demo.failure import DemoFailedError
from shared.domain.ids import JobId
from shared.messages.frames import (
    ErrorFrame,
    Frame,
    JobCancelled,
    JobCompleted,
    JobDelta,
    JobExpired,
    JobFailed,
    JobReset,
    JobStatusFrame,
    UsageFrame,
)

_JOB = JobId("job_1")


def _delta(offset: int, text: str, attempt: int = 1) -> JobDelta:
    return JobDelta(job_id=_JOB, attempt=attempt, offset=offset, text=text)


def _completed(result: JsonValue) -> JobCompleted:
    return JobCompleted(
        job_id=_JOB,
        result=result,
        usage=UsageFrame(input_tokens=1, output_tokens=2),
        cost_usd=Decimal("0.1"),
        provider="openai",
        model="a-model",
        is_fallback=False,
        latency_ms=5,
    )


def _said(content: str) -> JobCompleted:
    return _completed({"message": {"role": "assistant", "content": content}})


def _after(*frames: Frame) -> Conversation:
    talk = Conversation(Client(httpx.AsyncClient(), "http://127.0.0.1:9"), _JOB, "free")
    for frame in frames:
        talk.take(frame)
    return talk


def test_deltas_add_up_to_the_result() -> None:
    status = JobStatusFrame(job_id=_JOB, status="running")
    talk = _after(status, _delta(0, "né"), _delta(2, " 🌊"), _said("né 🌊"))
    assert (talk.text, talk.was_reset) == ("né 🌊", False)
    assert talk.completed is not None


def test_a_reset_starts_the_text_again() -> None:
    reset = JobReset(job_id=_JOB, attempt=2, reason="stream_cut")
    talk = _after(_delta(0, "once up"), reset, _delta(0, "hello", attempt=2), _said("hello"))
    assert (talk.text, talk.lost_text, talk.was_reset) == ("hello", "once up", True)


@pytest.mark.parametrize("offset", [0, 1, 3])
def test_a_gap_or_an_overlap_fails_the_demo(offset: int) -> None:
    with pytest.raises(DemoFailedError, match=f"jumped from 2 to {offset}"):
        _after(_delta(0, "ab"), _delta(offset, "c"))


def test_a_result_that_was_not_streamed_fails_the_demo() -> None:
    with pytest.raises(DemoFailedError, match="streamed another text"):
        _after(_delta(0, "ab"), _said("abc"))


def test_a_result_without_a_message_fails_the_demo() -> None:
    with pytest.raises(DemoFailedError, match="without a message"):
        _after(_completed({"message": {}}))


@pytest.mark.parametrize(
    ("frame", "said"),
    [
        (JobFailed(job_id=_JOB, error=ErrorFrame(code="x", message="no luck")), "no luck"),
        (JobCancelled(job_id=_JOB), "job.cancelled"),
        (JobExpired(job_id=_JOB), "job.expired"),
    ],
)
def test_a_job_without_an_answer_fails_the_demo(frame: Frame, said: str) -> None:
    with pytest.raises(DemoFailedError, match=said):
        _after(frame)
