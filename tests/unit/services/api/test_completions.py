"""OpenAI's API over jobs, frame by frame."""

import asyncio
from base64 import b64decode
from collections.abc import Callable, Mapping
from dataclasses import replace
from decimal import Decimal

import httpx
import numpy as np
import orjson
import pytest
from pydantic import JsonValue

from services.api.use_cases.openai_shapes import Answering, error_body
from shared.domain.catalog import CLOUDFLARE
from shared.domain.embedding_space import BGE_M3
from shared.domain.ids import JobId
from shared.domain.jobs import JobStatus, OnInterrupt
from shared.domain.usage import TokenUsage
from shared.domain.views import ErrorView, JobView
from shared.messages.frames import JobCompleted, JobDelta, JobReset, UsageFrame
from tests.support.api_bench import ApiBench
from tests.support.waiting import wait_until

Body = dict[str, JsonValue]
CHAT: Body = {"model": "auto", "messages": [{"role": "user", "content": "hello"}]}
RESULT = {"message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}
CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}


async def _answered(
    bench: ApiBench,
    path: str,
    body: Mapping[str, JsonValue],
    end: Callable[[JobView], JobView],
) -> httpx.Response:
    """Hand in a request, let its job end while it waits, and return the answer."""
    async with bench.client() as client:
        asking = asyncio.create_task(client.post(path, json=dict(body)))
        await wait_until(lambda: bool(bench.watches.open))
        job = bench.jobs.submitted[-1]
        state = bench.jobs.states[job.id]
        bench.jobs.put(job.caller.user_id, replace(state, job=end(state.job)))
        bench.watches.wake()
        return await asking


def _succeeds(result: object = RESULT) -> Callable[[JobView], JobView]:
    return lambda job: replace(
        job,
        status=JobStatus.SUCCEEDED,
        result_json=orjson.dumps(result).decode(),
        provider=CLOUDFLARE,
        model="llama",
        usage=TokenUsage(12, 3),
    )


def _chunks(answer: httpx.Response) -> list[dict[str, JsonValue]]:
    lines = [line for line in answer.text.split("\n\n") if line.startswith("data: {")]
    return [orjson.loads(line.removeprefix("data: ")) for line in lines]


async def test_a_completion_is_a_job(bench: ApiBench) -> None:
    answer = await _answered(bench, "/v1/chat/completions", CHAT, _succeeds())
    (job,) = bench.jobs.submitted
    assert answer.status_code == 200
    assert answer.json() == {
        "id": f"chatcmpl-{job.id}",
        "object": "chat.completion",
        "created": int(bench.clock.now().timestamp()),
        "model": "llama",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "hi", "refusal": None},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": {"prompt_tokens": 12, "completion_tokens": 3, "total_tokens": 15},
    }
    assert answer.headers["x-sluiceway-job-id"] == job.id
    assert answer.headers["x-sluiceway-provider"] == "cloudflare"
    assert answer.headers["x-sluiceway-cost-usd"] == "0"
    assert job.on_interrupt is OnInterrupt.RESTART


async def test_the_newer_name_of_the_output_limit_wins(bench: ApiBench) -> None:
    body = {**CHAT, "max_tokens": 5, "max_completion_tokens": 7, "seed": 1, "user": "somebody"}
    await _answered(bench, "/v1/chat/completions", body, _succeeds())
    assert bench.jobs.submitted[0].max_output_tokens == 7


async def test_a_stream_ends_with_what_it_cost(bench: ApiBench) -> None:
    body: Body = {**CHAT, "stream": True, "stream_options": {"include_usage": True}}
    answer = await _answered(bench, "/v1/chat/completions", body, _succeeds())
    opening, text, finish, last = _chunks(answer)
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.text.endswith("data: [DONE]\n\n")
    assert opening["choices"] == [_choice({"role": "assistant", "content": ""})]
    assert text["choices"] == [_choice({"content": "hi"})]
    assert finish["choices"] == [_choice({}, "stop")]
    assert (last["choices"], finish["usage"]) == ([], None)
    assert last["usage"] == {"prompt_tokens": 12, "completion_tokens": 3, "total_tokens": 15}
    job_id = bench.jobs.submitted[0].id
    assert last["sluiceway"] == {"job_id": job_id, "provider": "cloudflare", "cost_usd": "0"}
    assert bench.jobs.submitted[0].on_interrupt is OnInterrupt.FAIL


async def test_a_stream_without_usage_says_it_in_its_last_chunk(bench: ApiBench) -> None:
    answer = await _answered(bench, "/v1/chat/completions", {**CHAT, "stream": True}, _succeeds())
    *_, last = _chunks(answer)
    assert "usage" not in last
    assert last["choices"] == [_choice({}, "stop")]
    assert last["sluiceway"] is not None


async def test_tool_calls_come_with_their_place(bench: ApiBench) -> None:
    message = {"role": "assistant", "content": "", "tool_calls": [CALL]}
    result = {"message": message, "finish_reason": "tool_calls"}
    answer = await _answered(
        bench, "/v1/chat/completions", {**CHAT, "stream": True}, _succeeds(result)
    )
    _, calls, finish = _chunks(answer)
    assert calls["choices"] == [_choice({"tool_calls": [{"index": 0, **CALL}]})]
    assert finish["choices"] == [_choice({}, "tool_calls")]


@pytest.mark.parametrize(
    ("status", "kind", "code"),
    [
        (JobStatus.FAILED, "provider_error", "3040"),
        (JobStatus.EXPIRED, "timeout_error", "expired"),
        (JobStatus.CANCELLED, "conflict_error", "cancelled"),
    ],
)
@pytest.mark.parametrize("is_streamed", [False, True])
async def test_a_job_without_a_result_is_an_error(
    bench: ApiBench,
    status: JobStatus,
    kind: str,
    code: str,
    is_streamed: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    answer = await _answered(
        bench,
        "/v1/chat/completions",
        {**CHAT, "stream": is_streamed},
        lambda job: replace(job, status=status, error=ErrorView("3040", "out of capacity")),
    )
    body = _chunks(answer)[-1] if is_streamed else answer.json()
    error = body["error"]
    assert isinstance(error, dict)
    assert (error["type"], error["code"]) == (kind, code)
    assert answer.status_code == (200 if is_streamed else 502)
    assert is_streamed or answer.headers["x-should-retry"] == "false"


async def test_vectors_come_as_numbers_or_as_base64(bench: ApiBench) -> None:
    vector = np.full(1024, 0.5, dtype="<f4").tobytes()
    for encoding in ("float", "base64"):
        body: dict[str, JsonValue] = {"model": "auto", "input": "a text"}

        def stored(job: JobView) -> JobView:
            bench.vectors.by_job[job.id] = (BGE_M3, {0: vector})
            return _succeeds({})(job)

        answer = await _answered(
            bench, "/v1/embeddings", {**body, "encoding_format": encoding}, stored
        )
        (item,) = answer.json()["data"]
        embedding = item["embedding"]
        raw = b64decode(embedding) if encoding == "base64" else np.array(embedding, "<f4").tobytes()
        assert raw == vector
        assert answer.json()["usage"] == {"prompt_tokens": 12, "total_tokens": 12}


@pytest.mark.parametrize(
    ("change", "param"),
    [({"n": 2}, "n"), ({"stream": "yes"}, "stream"), ({"messages": []}, "messages")],
)
async def test_what_would_change_the_answer_is_refused(
    bench: ApiBench, change: dict[str, JsonValue], param: str
) -> None:
    async with bench.client() as client:
        answer = await client.post("/v1/chat/completions", json={**CHAT, **change})
    assert answer.status_code == 422
    assert answer.json()["error"]["param"] == param


async def test_models_of_the_tier_are_offered(bench: ApiBench) -> None:
    async with bench.client() as client:
        listed = (await client.get("/v1/models")).json()
        llama = await client.get("/v1/models/@cf/meta/llama-3.1-8b-instruct-fast")
        sol = await client.get("/v1/models/gpt-6.1-sol")
    owners = {one["id"]: one["owned_by"] for one in listed["data"]}
    assert owners["auto"] == "auto"
    assert owners["gpt-3.5-turbo"] == owners["gpt-6-luna"] == "openai"
    assert llama.json()["owned_by"] == "cloudflare"
    assert sol.status_code == 404


async def test_a_client_that_leaves_cancels_its_job(bench: ApiBench) -> None:
    sent: list[Mapping[str, object]] = []
    messages: list[Mapping[str, object]] = [
        {"type": "http.request", "body": orjson.dumps(CHAT), "more_body": False},
        {"type": "http.disconnect"},
    ]

    async def receive() -> Mapping[str, object]:
        if len(messages) == 1:
            await wait_until(lambda: bool(bench.watches.open))
        return messages.pop(0)

    async def send(message: Mapping[str, object]) -> None:
        sent.append(message)

    await bench.app(_scope(), receive, send)  # type: ignore[arg-type] # plain ASGI, as a server speaks it
    assert sent[0]["status"] == 503
    state = bench.jobs.states[bench.jobs.submitted[0].id]
    assert state.job.status is JobStatus.CANCELLED


def _scope() -> dict[str, object]:
    headers = [(b"authorization", b"Bearer sk-slw-ann"), (b"content-type", b"application/json")]
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": "/v1/chat/completions",
        "raw_path": b"/v1/chat/completions",
        "query_string": b"",
        "headers": headers,
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 2),
    }


def _choice(delta: object, finish_reason: str | None = None) -> object:
    return {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}


def test_frames_that_end_nothing_are_no_error() -> None:
    reset = JobReset(job_id=JobId("job_1"), attempt=2, reason="stream_cut")
    assert error_body("job_1", reset) == b""


def test_a_result_of_another_shape_breaks_nothing() -> None:
    frame = JobCompleted(
        job_id=JobId("job_1"),
        result=None,
        usage=UsageFrame(input_tokens=1, output_tokens=1),
        cost_usd=Decimal(0),
        provider="",
        model="m",
        is_fallback=False,
        latency_ms=0,
    )
    whole = orjson.loads(Answering("job_1", 0, "m").whole(frame))
    assert whole["choices"][0]["message"] == {"refusal": None}
    delta = JobDelta(job_id=JobId("job_1"), attempt=1, offset=0, text="t")
    assert b'"content":"t"' in Answering("job_1", 0, "m").piece(delta)
