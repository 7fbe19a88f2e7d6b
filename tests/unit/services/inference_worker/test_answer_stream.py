import asyncio
from datetime import timedelta

from services.inference_worker.use_cases.answer_stream import AnswerStream, StreamPorts
from shared.domain.ids import AttemptId, JobId
from shared.messages.frames import JobDelta, JobReset
from tests.support.fakes_of_chat import FrameLog, RecordingAttempts
from tests.support.fakes_of_time import StillClock
from tests.support.waiting import wait_until

_JOB = JobId("job_1")
_ATTEMPT = AttemptId("att_1")


class Answer:
    """An answer with all that surrounds it."""

    def __init__(self) -> None:
        self.frames = FrameLog()
        self.attempts = RecordingAttempts()
        self.clock = StillClock()
        ports = StreamPorts(self.frames, self.attempts, self.clock)
        self.stream = AnswerStream(ports, _JOB, _ATTEMPT, 2)

    @property
    def deltas(self) -> list[tuple[int, str]]:
        """Offset and text of every chunk."""
        return [(f.offset, f.text) for f in self.frames.frames if isinstance(f, JobDelta)]


async def test_the_first_piece_leaves_at_once() -> None:
    answer = Answer()
    await answer.stream.add("Hel")
    assert answer.stream.text_was_sent
    assert answer.frames.sent == [
        ("job._1.job_1", JobDelta(job_id=_JOB, attempt=2, offset=0, text="Hel"))
    ]


async def test_later_pieces_leave_together() -> None:
    answer = Answer()
    for piece in ("One", " two", " three", " four"):
        await answer.stream.add(piece)
    assert answer.deltas == [(0, "One")]
    await answer.stream.flush()
    assert answer.deltas == [(0, "One"), (3, " two three four")]


async def test_what_waits_at_the_end_is_left_to_the_last_frame() -> None:
    answer, open_one = Answer(), Answer()
    for one in (answer, open_one):
        await one.stream.add("One")
        await one.stream.add(" two")
    await answer.stream.close()
    await wait_until(lambda: len(open_one.deltas) == 2)
    assert answer.deltas == [(0, "One")]
    assert answer.stream.text == "One two"


async def test_what_waits_leaves_by_itself() -> None:
    answer = Answer()
    await answer.stream.add("One")
    await answer.stream.add(" two")
    await wait_until(lambda: len(answer.deltas) == 2)
    await answer.stream.add(" three")
    await wait_until(lambda: len(answer.deltas) == 3)
    assert answer.deltas == [(0, "One"), (3, " two"), (7, " three")]


async def test_much_text_does_not_wait() -> None:
    answer = Answer()
    await answer.stream.add("a")
    await answer.stream.add("b" * 255)
    assert len(answer.deltas) == 1
    await answer.stream.add("c")
    assert answer.deltas == [(0, "a"), (1, "b" * 255 + "c")]


async def test_offsets_count_code_points() -> None:
    answer = Answer()
    await answer.stream.add("🦆é")
    await answer.stream.add("x")
    await answer.stream.flush()
    assert answer.deltas == [(0, "🦆é"), (2, "x")]


async def test_chunks_are_the_text_without_gap_or_overlap() -> None:
    answer = Answer()
    pieces = [f"{n} " * (n % 70) for n in range(200)]
    for position, piece in enumerate(pieces):
        await answer.stream.add(piece)
        if position % 50 == 0:
            await asyncio.sleep(0)
    await answer.stream.flush()
    assert answer.stream.text == "".join(pieces)
    assert "".join(text for _, text in answer.deltas) == answer.stream.text
    ends = [0, *(offset + len(text) for offset, text in answer.deltas)]
    assert [offset for offset, _ in answer.deltas] == ends[:-1]


async def test_nothing_waits_for_nothing() -> None:
    answer = Answer()
    await answer.stream.add("")
    await answer.stream.flush()
    assert answer.deltas == []
    assert not answer.stream.text_was_sent


async def test_nul_is_replaced() -> None:
    answer = Answer()
    await answer.stream.add("a\0b")
    assert answer.stream.text == "a\ufffdb"
    assert answer.deltas == [(0, "a\ufffdb")]


async def test_a_restart_names_the_new_attempt() -> None:
    answer = Answer()
    await answer.stream.restart("stream_cut")
    assert answer.frames.frames == [JobReset(job_id=_JOB, attempt=2, reason="stream_cut")]


async def test_long_answers_are_stored_now_and_then() -> None:
    answer = Answer()
    await answer.stream.add("One")
    answer.clock.advance(timedelta(seconds=0.5))
    await answer.stream.add(" two")
    await answer.stream.add(" three")
    answer.clock.advance(timedelta(seconds=0.5))
    await answer.stream.add(" four")
    await answer.stream.close()
    lengths = [len(text) for _, _, text in answer.attempts.checkpoints]
    assert len(lengths) == 2
    assert answer.attempts.checkpoints[-1] == (_ATTEMPT, 2, "One two three four")


async def test_an_absent_database_does_not_stop_the_answer() -> None:
    answer = Answer()
    answer.attempts.is_away = True
    answer.clock.advance(timedelta(seconds=1))
    await answer.stream.add("One")
    await answer.stream.close()
    assert answer.deltas == [(0, "One")]
