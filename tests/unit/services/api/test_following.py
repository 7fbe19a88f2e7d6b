"""A watcher's way from the stored part through live frames to the end."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import orjson
import pytest

from services.api.use_cases.cursor import Cursor
from services.api.use_cases.following import STILL_WAITING, Event, FollowJob, Sources
from services.api.use_cases.gates import Gates
from services.api.use_cases.results import Results
from services.api.use_cases.watching import Missed, Received, Watch
from shared.domain.errors import DatabaseUnavailableError
from shared.domain.ids import JobId, UserId
from shared.domain.jobs import JobStatus
from shared.messages.frames import (
    ErrorFrame,
    Frame,
    JobCompleted,
    JobDelta,
    JobFailed,
    UsageFrame,
)
from tests.support.api_bench import ApiBench
from tests.support.waiting import wait_until

ANN = UserId("ann")
CHAT = {"messages": [{"role": "user", "content": "hello"}]}


def follow_job(bench: ApiBench, reasons: list[str]) -> FollowJob:
    gates = Gates(bench.gates, bench.clock, timedelta(seconds=1), bench.scope_gates)
    sources = Sources(bench.jobs, gates, Results(bench.vectors))
    return FollowJob(sources, bench.watches, reasons.append)


async def submitted(bench: ApiBench) -> JobId:
    async with bench.client() as client:
        return JobId((await client.post("/v1/chat/jobs", json=CHAT)).json()["id"])


def received(frame: Frame) -> Received:
    return Received(frame, frame.model_dump_json().encode())


def delta(job_id: JobId, offset: int, text: str) -> Received:
    return received(JobDelta(job_id=job_id, attempt=1, offset=offset, text=text))


def succeed(bench: ApiBench, job_id: JobId, text: str) -> None:
    state = bench.jobs.states[job_id]
    result = orjson.dumps({"message": {"role": "assistant", "content": text}}).decode()
    job = replace(state.job, status=JobStatus.SUCCEEDED, result_json=result)
    bench.jobs.put(ANN, replace(state, job=job, attempt_number=1))


async def all_of(stream: AsyncIterator[Sequence[Event]]) -> list[Event]:
    return [event async for events in stream for event in events]


def shown(events: list[Event]) -> list[str]:
    bodies = [orjson.loads(event.body) for event in events if event.body]
    return [body.get("text", body["type"]) for body in bodies]


async def test_live_frames_then_the_end(bench: ApiBench) -> None:
    job_id = await submitted(bench)
    failed = JobFailed(job_id=job_id, error=ErrorFrame(code="c", message="m"))
    async with follow_job(bench, []).open(ANN, job_id, Cursor(job_id)) as following:
        [watch] = bench.watches.open
        for one in (delta(job_id, 0, "ab"), delta(job_id, 2, "c"), received(failed)):
            watch.offer(one)
        events = await all_of(following.events())
    assert shown(events) == ["job.status", "ab", "c", "job.failed"]
    assert following.is_over
    assert not bench.watches.open


async def test_a_job_watched_from_its_start_is_not_read(bench: ApiBench) -> None:
    job_id = await submitted(bench)
    assert bench.watches.expected == [job_id]
    bench.watches.accepted = bench.jobs.submitted[0]
    bench.jobs.is_away = True
    async with follow_job(bench, []).open(ANN, job_id, Cursor(job_id)) as following:
        bench.watches.open[0].miss(Missed.CLOSED)
        assert shown(await all_of(following.events())) == ["job.status"]
    with pytest.raises(DatabaseUnavailableError):
        async with follow_job(bench, []).open(UserId("bob"), job_id, Cursor(job_id)):
            pass


async def test_an_overflow_is_made_good_from_the_database(bench: ApiBench) -> None:
    job_id = await submitted(bench)
    reasons: list[str] = []
    async with follow_job(bench, reasons).open(ANN, job_id, Cursor(job_id)) as following:
        [watch] = bench.watches.open
        for offset in range(1_001):
            watch.offer(delta(job_id, offset, "x"))
        succeed(bench, job_id, "x" * 1_001)
        events = await all_of(following.events())
    assert shown(events) == ["job.status", "x" * 1_001, "job.completed"]
    assert reasons == ["overflow"]


async def test_a_gap_is_asked_again_until_the_text_is_stored(bench: ApiBench) -> None:
    job_id = await submitted(bench)
    reasons: list[str] = []
    async with follow_job(bench, reasons).open(ANN, job_id, Cursor(job_id)) as following:
        [watch] = bench.watches.open
        watch.offer(delta(job_id, 2, "c"))
        stream = following.events()
        await anext(stream)
        next_event = asyncio.ensure_future(anext(stream))
        await wait_until(lambda: bool(reasons))
        state = bench.jobs.states[job_id]
        running = replace(state.job, status=JobStatus.RUNNING)
        bench.jobs.put(ANN, replace(state, job=running, attempt_number=1, text="ab"))
        events = [*await next_event, *await anext(stream)]
    assert shown(events) == ["job.status", "ab", "c"]
    assert set(reasons) == {"gap"}


async def test_a_stopping_server_ends_the_stream_without_an_end(bench: ApiBench) -> None:
    job_id = await submitted(bench)
    async with follow_job(bench, []).open(ANN, job_id, Cursor(job_id)) as following:
        bench.watches.open[0].miss(Missed.CLOSED)
        assert shown(await all_of(following.events())) == ["job.status"]
    assert not following.is_over


async def test_an_outage_of_the_database_does_not_end_the_stream(bench: ApiBench) -> None:
    job_id = await submitted(bench)
    async with follow_job(bench, []).open(ANN, job_id, Cursor(job_id)) as following:
        [watch] = bench.watches.open
        stream = following.events()
        await anext(stream)
        bench.jobs.is_away = True
        watch.miss(Missed.RECONNECT)
        assert await anext(stream) == [STILL_WAITING]
        bench.jobs.is_away = False
        succeed(bench, job_id, "all")
        watch.miss(Missed.RECONNECT)
        assert shown(await all_of(stream)) == ["all", "job.completed"]


async def test_waiting_for_an_end_has_a_limit(bench: ApiBench) -> None:
    job_id = await submitted(bench)
    follow = follow_job(bench, [])
    assert not await follow.ended(job_id, ANN, timedelta(milliseconds=20))
    succeed(bench, job_id, "x")
    assert await follow.ended(job_id, ANN, timedelta(seconds=5))


async def test_a_quiet_watch_says_so() -> None:
    assert await Watch().next(0.001) is Missed.IDLE


async def test_a_watcher_may_leave_early(bench: ApiBench) -> None:
    job_id = await submitted(bench)
    async with follow_job(bench, []).open(ANN, job_id, Cursor(job_id)) as following:
        following.leave()
        assert shown(await all_of(following.events())) == ["job.status"]
    assert not following.is_over


async def test_text_that_was_sent_before_is_not_sent_again(bench: ApiBench) -> None:
    job_id = await submitted(bench)
    async with follow_job(bench, []).open(ANN, job_id, Cursor(job_id)) as following:
        [watch] = bench.watches.open
        for one in (delta(job_id, 0, "ab"), delta(job_id, 0, "ab"), delta(job_id, 2, "c")):
            watch.offer(one)
        stream = following.events()
        sent = [event for _ in range(3) for event in await anext(stream)]
    assert shown(sent) == ["job.status", "ab", "c"]


async def test_vectors_are_read_from_the_database_when_their_job_is_completed(
    bench: ApiBench,
) -> None:
    async with bench.client() as client:
        answer = await client.post("/v1/embeddings/jobs", json={"input": ["a"]})
    job_id = JobId(answer.json()["id"])
    reasons: list[str] = []
    async with follow_job(bench, reasons).open(ANN, job_id, Cursor(job_id)) as following:
        bench.jobs.finish(job_id, {"count": 1})
        bench.watches.open[0].offer(
            received(
                JobCompleted(
                    job_id=job_id,
                    attempt=1,
                    result={"count": 1},
                    usage=UsageFrame(input_tokens=1, output_tokens=0),
                    cost_usd=Decimal(0),
                    provider="openai",
                    model="m",
                    is_fallback=False,
                    latency_ms=1,
                )
            )
        )
        events = await all_of(following.events())
    assert (shown(events), reasons) == (["job.status", "job.completed"], ["result"])
