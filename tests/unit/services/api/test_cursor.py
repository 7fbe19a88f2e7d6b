"""What a watcher is sent: end to end, without overlap and without gap."""

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

import orjson
import pytest

from services.api.use_cases.cursor import Cursor, Reread
from shared.domain.catalog import CLOUDFLARE
from shared.domain.ids import AttemptId, JobId
from shared.domain.jobs import AttemptOutcome, JobStatus
from shared.domain.usage import NO_USAGE
from shared.domain.views import HEDGE_LOST, AttemptView, ErrorView, JobView, StreamState
from shared.messages.frames import (
    Frame,
    JobCompleted,
    JobDelta,
    JobReset,
    JobStatusFrame,
    UsageFrame,
)
from tests.support.job_views import NOW, job_view

JOB = JobId("job_1")


def view(status: JobStatus = JobStatus.RUNNING, attempts: int = 1) -> JobView:
    made = [attempt(number, number == attempts) for number in range(1, attempts + 1)]
    return replace(job_view(JOB, status), attempts=made)


def attempt(number: int, last: bool) -> AttemptView:  # noqa: FBT001 - a test's shorthand
    return AttemptView(
        id=AttemptId(f"att_{number}"),
        number=number,
        provider=CLOUDFLARE,
        model="m",
        model_answered=None,
        outcome=AttemptOutcome.SUCCEEDED if last else AttemptOutcome.FAILED,
        error=None,
        usage=NO_USAGE,
        cost_usd=Decimal(0),
        assumed=False,
        started_at=NOW,
        latency_ms=None,
    )


def state(number: int, text: str, attempts: int | None = None) -> StreamState:
    return StreamState(view(attempts=number if attempts is None else attempts), number, text)


def succeeded(text: str, attempts: int = 1) -> StreamState:
    result = orjson.dumps({"message": {"role": "assistant", "content": text}}).decode()
    done = replace(view(JobStatus.SUCCEEDED, attempts), result_json=result)
    return StreamState(done, 1, "")


def delta(offset: int, text: str, number: int = 1) -> JobDelta:
    return JobDelta(job_id=JOB, attempt=number, offset=offset, text=text)


def completed(text: str, number: int | None = 1) -> JobCompleted:
    return JobCompleted(
        job_id=JOB,
        attempt=number,
        result={"message": {"role": "assistant", "content": text}},
        usage=UsageFrame(input_tokens=1, output_tokens=1),
        cost_usd=Decimal(0),
        provider="openai",
        model="m",
        is_fallback=False,
        latency_ms=1,
    )


def brief(frames: Sequence[Frame] | Reread) -> list[tuple[int, int, str]] | Reread:
    """Return deltas as (attempt, offset, text) and resets as (attempt, -1, "")."""
    if isinstance(frames, Reread):
        return frames
    shown: list[tuple[int, int, str]] = []
    for frame in frames:
        if isinstance(frame, JobDelta):
            shown.append((frame.attempt, frame.offset, frame.text))
        if isinstance(frame, JobReset):
            shown.append((frame.attempt, -1, ""))
    return shown


def test_live_frames_pass_as_they_are() -> None:
    cursor = Cursor(JOB)
    cursor.on_state(state(0, ""), None)
    first = delta(0, "ab")
    assert cursor.on_frame(first) == [first]
    assert brief(cursor.on_frame(delta(2, "c"))) == [(1, 2, "c")]


def test_what_was_stored_comes_first_and_overlap_is_cut() -> None:
    cursor = Cursor(JOB)
    assert brief(cursor.on_state(state(1, "abc"), None)) == [(1, 0, "abc")]
    assert brief(cursor.on_frame(delta(0, "ab"))) == []
    assert brief(cursor.on_frame(delta(2, "cde"))) == [(1, 3, "de")]


def test_offsets_count_code_points() -> None:
    cursor = Cursor(JOB, offset=1)
    assert brief(cursor.on_state(state(1, "😀é"), None)) == [(1, 1, "é")]
    assert brief(cursor.on_frame(delta(2, "x"))) == [(1, 2, "x")]


def test_a_client_that_returns_gets_only_what_it_lacks() -> None:
    cursor = Cursor(JOB, offset=2, attempt=1)
    assert brief(cursor.on_state(state(1, "abcd"), None)) == [(1, 2, "cd")]


def test_a_client_ahead_of_what_is_stored_gets_nothing_twice() -> None:
    cursor = Cursor(JOB, offset=4)
    assert brief(cursor.on_state(state(1, "ab"), None)) == []
    assert brief(cursor.on_frame(delta(2, "cdef"))) == [(1, 4, "ef")]


@pytest.mark.parametrize("known", [1, 9])
def test_another_attempt_than_the_clients_is_a_reset_first(known: int) -> None:
    cursor = Cursor(JOB, offset=3, attempt=known)
    assert brief(cursor.on_state(state(2, "xy"), None)) == [(2, -1, ""), (2, 0, "xy")]


def test_a_gap_asks_for_the_stored_part_and_then_goes_on() -> None:
    cursor = Cursor(JOB)
    cursor.on_frame(delta(0, "ab"))
    assert cursor.on_frame(delta(4, "ef")) is Reread.GAP
    assert brief(cursor.on_state(state(1, "abcde"), None)) == [(1, 2, "cde")]
    assert brief(cursor.on_frame(delta(4, "ef"))) == [(1, 5, "f")]


def test_a_reset_starts_the_new_attempt_once() -> None:
    cursor = Cursor(JOB)
    cursor.on_frame(delta(0, "ab"))
    reset = JobReset(job_id=JOB, attempt=2, reason="cut")
    assert brief(cursor.on_frame(reset)) == [(2, -1, "")]
    assert cursor.on_frame(reset) == []
    assert brief(cursor.on_frame(delta(0, "late"))) == []
    assert brief(cursor.on_frame(delta(0, "xy", 2))) == [(2, 0, "xy")]


def test_a_lost_reset_is_made_up() -> None:
    cursor = Cursor(JOB)
    cursor.on_frame(delta(0, "ab"))
    assert brief(cursor.on_frame(delta(0, "xy", 2))) == [(2, -1, ""), (2, 0, "xy")]


def test_a_new_attempt_needs_no_reset_when_nothing_was_sent() -> None:
    cursor = Cursor(JOB)
    cursor.on_state(state(1, ""), None)
    assert brief(cursor.on_frame(delta(0, "xy", 2))) == [(2, 0, "xy")]


def test_the_middle_of_a_new_attempt_is_a_gap() -> None:
    cursor = Cursor(JOB)
    cursor.on_frame(delta(0, "ab"))
    assert cursor.on_frame(delta(1, "y", 2)) is Reread.GAP
    assert brief(cursor.on_state(state(2, "xy"), None)) == [(2, -1, ""), (2, 0, "xy")]


def test_stored_text_of_an_attempt_left_behind_is_not_sent() -> None:
    cursor = Cursor(JOB, offset=1, attempt=2)
    assert brief(cursor.on_state(state(1, "old", attempts=2), None)) == []
    assert brief(cursor.on_frame(delta(1, "n", 2))) == [(2, 1, "n")]


def test_a_finished_answer_is_replayed_whole() -> None:
    cursor = Cursor(JOB)
    assert brief(cursor.on_state(succeeded("whole", attempts=2), None)) == [(2, 0, "whole")]


def test_the_end_brings_the_text_that_is_missing() -> None:
    cursor = Cursor(JOB)
    cursor.on_frame(delta(0, "ab"))
    done = completed("abc")
    assert cursor.on_frame(done) == [delta(2, "c"), done]
    assert cursor.on_frame(done) == [done]


def test_the_end_of_another_attempt_is_a_reset_first() -> None:
    cursor = Cursor(JOB)
    cursor.on_frame(delta(0, "ab"))
    assert brief(cursor.on_frame(completed("xyz", 2))) == [(2, -1, ""), (2, 0, "xyz")]


@pytest.mark.parametrize("number", [None, 1])
def test_an_end_that_does_not_fit_is_read_again(number: int | None) -> None:
    cursor = Cursor(JOB, attempt=2)
    assert cursor.on_frame(completed("abc", number)) is Reread.GAP


def test_a_status_is_sent_once() -> None:
    cursor = Cursor(JOB)
    running = JobStatusFrame(job_id=JOB, status="running")
    assert cursor.on_state(state(0, ""), None) == [running]
    assert cursor.on_frame(running) == []


def test_a_completed_job_without_text_is_sent_as_it_is() -> None:
    done = completed("").model_copy(update={"result": {"data": []}})
    assert Cursor(JOB).on_frame(done) == [done]


def _lost_hedge(number: int) -> AttemptView:
    return replace(attempt(number, last=False), error=ErrorView(HEDGE_LOST, "slower"))


@pytest.mark.parametrize("winner", [1, 2])
def test_while_two_attempts_run_the_first_to_bring_text_is_followed(winner: int) -> None:
    cursor = Cursor(JOB)
    assert brief(cursor.on_state(state(0, "", attempts=2), None)) == []
    assert brief(cursor.on_frame(delta(0, "ab", winner))) == [(winner, 0, "ab")]


def test_the_answer_of_a_first_attempt_that_beat_a_second_one_is_sent_whole() -> None:
    """Also to a client that names the second one, of which it can have seen nothing."""
    won = replace(succeeded("abc").job, attempts=[attempt(1, last=True), _lost_hedge(2)])
    late = Cursor(JOB)
    assert brief(late.on_state(StreamState(won, 2, ""), None)) == [(1, 0, "abc")]
    mistaken = Cursor(JOB, attempt=2)
    assert brief(mistaken.on_state(StreamState(won, 2, ""), None)) == [(1, -1, ""), (1, 0, "abc")]


def test_a_second_attempt_that_wins_needs_no_reset() -> None:
    cursor = Cursor(JOB)
    cursor.on_state(state(1, ""), None)
    assert brief(cursor.on_frame(delta(0, "ab", 2))) == [(2, 0, "ab")]
