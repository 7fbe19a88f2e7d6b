"""Every error answer has the one shape, and bad input is never a 5xx."""

from collections.abc import AsyncIterator

import httpx
import pytest

from services.api.settings import ApiLimits
from shared.domain.pricing import PriceBook
from tests.support.api_bench import ApiBench

MESSAGE = {"role": "user", "content": "hi"}
CHAT = {"messages": [MESSAGE]}


def problem(answer: httpx.Response) -> tuple[int, str, str | None]:
    assert answer.headers["x-request-id"]
    error = answer.json()["error"]
    assert error.keys() == {"message", "type", "code", "param"}
    assert error["message"]
    assert error["type"]
    return answer.status_code, error["code"], error["param"]


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "messages"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "robot", "content": "x"}]}, "messages.0.role"),
        ({"messages": [{"role": "user", "content": ""}]}, "messages.0.content"),
        ({"messages": [{"role": "user", "content": "a\x00"}]}, "messages.0.content"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages.0.content"),
        ({**CHAT, "max_tokens": 0}, "max_tokens"),
        ({**CHAT, "max_tokens": 8193}, "max_tokens"),
        ({**CHAT, "max_tokens": "9"}, "max_tokens"),
        ({**CHAT, "max_tokens": 10**40}, "max_tokens"),
        ({**CHAT, "temperature": 2.1}, "temperature"),
        ({**CHAT, "on_interrupt": "explode"}, "on_interrupt"),
        ({**CHAT, "deadline": "tomorrow"}, "deadline"),
        ({**CHAT, "deadline": "2026-11-23T13:00:00"}, "deadline"),
        ({**CHAT, "deadline": "2026-11-23T11:59:59Z"}, "deadline"),
        ({**CHAT, "metadata": {"a": {"b\x00": 1}}}, "metadata"),
        ({**CHAT, "metadata": []}, "metadata"),
        ({**CHAT, "conversation_id": "c"}, "conversation_id"),
        ({**CHAT, "webhook_url": "http://x"}, "webhook_url"),
        ([], None),
    ],
)
async def test_a_wrong_chat_body_names_its_field(
    bench: ApiBench, body: object, param: str | None
) -> None:
    async with bench.client() as client:
        answer = await client.post("/v1/chat/jobs", json=body)
    assert problem(answer) == (422, "invalid_value", param)
    assert not bench.jobs.submitted


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b'"\xff"',
        b"\xff\xfe",
        b"[" * 5000,
        b'{"messages":[{"role":"user","content":"\\ud800"}]}',
        b'{"a":1}{"b":2}',
    ],
)
async def test_what_is_no_json_is_400(bench: ApiBench, raw: bytes) -> None:
    async with bench.client() as client:
        answer = await client.post("/v1/chat/jobs", content=raw)
    assert problem(answer) == (400, "invalid_json", None)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e999", "-1"])
async def test_numbers_that_are_none_are_422(bench: ApiBench, number: str) -> None:
    raw = f'{{"messages":[{{"role":"user","content":"x"}}],"temperature":{number}}}'
    async with bench.client() as client:
        answer = await client.post("/v1/chat/jobs", content=raw)
    assert problem(answer) == (422, "invalid_value", "temperature")


async def test_an_unknown_model_lists_those_on_offer(bench: ApiBench) -> None:
    async with bench.client() as client:
        answer = await client.post("/v1/chat/jobs", json={**CHAT, "model": "gpt-6.1-sol"})
    assert problem(answer) == (422, "model_not_found", "model")
    assert "gpt-6-luna" in answer.json()["error"]["message"]
    async with bench.client("sk-slw-pam") as client:
        answer = await client.post("/v1/chat/jobs", json={**CHAT, "model": "gpt-6.1-sol"})
    assert answer.status_code == 202


async def test_a_model_without_a_price_is_refused_when_it_is_asked_for() -> None:
    bench = ApiBench(prices=PriceBook([]))
    async with bench.client() as client:
        chat = await client.post("/v1/chat/jobs", json={**CHAT, "model": "gpt-3.5-turbo"})
        texts = {"input": ["a text"], "model": "bge-m3"}
        embeddings = await client.post("/v1/embeddings/jobs", json=texts)
        left_to_us = await client.post("/v1/chat/jobs", json=CHAT)
    assert problem(chat) == problem(embeddings) == (422, "unknown_price", "model")
    assert "auto" in chat.json()["error"]["message"]
    assert left_to_us.status_code == 202
    assert len(bench.jobs.submitted) == 1


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"input": []}, "input"),
        ({"input": "text"}, "input"),
        ({"input": ["a", ""]}, "input.1"),
        ({"input": ["a" * 32_769]}, "input.0"),
        ({"input": ["é" * 16_385]}, "input.0"),
        ({"input": ["a"] * 2_049}, "input"),
    ],
)
async def test_a_wrong_embeddings_body_names_its_field(
    bench: ApiBench, body: object, param: str
) -> None:
    async with bench.client() as client:
        answer = await client.post("/v1/embeddings/jobs", json=body)
    assert problem(answer) == (422, "invalid_value", param)


async def test_a_body_beyond_the_limit_is_413_announced_or_not() -> None:
    bench = ApiBench(ApiLimits(body_bytes=100))

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(3):
            yield b"x" * 50

    async with bench.client() as client:
        announced = await client.post("/v1/chat/jobs", content=b"x" * 101)
        streamed = await client.post("/v1/chat/jobs", content=chunks())
    assert problem(announced) == problem(streamed) == (413, "payload_too_large", None)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": "Basic abc"},
        {"authorization": "Bearer sk-slw-nobody"},
        {"authorization": "Bearer " + "x" * 5000},
        {"authorization": "Bearer"},
    ],
)
async def test_without_a_known_key_it_is_401(bench: ApiBench, headers: dict[str, str]) -> None:
    async with bench.client(None) as client:
        for path in ("/v1/jobs", "/v1/jobs/job_1/events", "/v1/admin/keys"):
            answer = await client.get(path, headers=headers)
            assert problem(answer) == (401, "invalid_api_key", None)
            assert answer.headers["www-authenticate"] == "Bearer"


async def test_a_jobs_key_is_no_admin(bench: ApiBench) -> None:
    async with bench.client() as client:
        assert problem(await client.get("/v1/admin/keys")) == (403, "insufficient_scope", None)
        assert problem(await client.get("/v1/admin/ledger")) == (403, "insufficient_scope", None)


async def test_a_revoked_key_works_at_most_a_second_longer(bench: ApiBench) -> None:
    async with bench.client() as client, bench.admin() as admin:
        assert (await client.get("/v1/jobs")).status_code == 200
        assert (await admin.delete("/v1/admin/keys/key_ann")).status_code == 204
        bench.clock.advance(bench.parts.limits.key_age)
        assert (await client.get("/v1/jobs")).status_code == 401


async def test_unknown_addresses_and_methods_have_the_shape_too(bench: ApiBench) -> None:
    async with bench.client() as client:
        assert problem(await client.get("/v1/nothing")) == (404, "not_found", None)
        assert problem(await client.put("/v1/jobs")) == (405, "method_not_allowed", None)


@pytest.mark.parametrize(
    ("path", "param"),
    [
        ("/v1/jobs?limit=0", "limit"),
        ("/v1/jobs?limit=x", "limit"),
        ("/v1/jobs?status=lost", "status"),
        ("/v1/jobs?after=a%00b", "after"),
        ("/v1/jobs/a%00b", "job_id"),
        ("/v1/jobs/job_1/events?after_offset=-1", "after_offset"),
        ("/v1/jobs/job_1/events?after_offset=99999999999999", "after_offset"),
        ("/v1/collections/%20", "name"),
    ],
)
async def test_wrong_parameters_are_named(bench: ApiBench, path: str, param: str) -> None:
    async with bench.client() as client:
        assert problem(await client.get(path)) == (422, "invalid_value", param)


@pytest.mark.parametrize("value", ["", "a b", "x" * 256])
async def test_a_wrong_idempotency_key_is_refused(bench: ApiBench, value: str) -> None:
    async with bench.client() as client:
        answer = await client.post("/v1/chat/jobs", json=CHAT, headers={"Idempotency-Key": value})
    assert problem(answer) == (422, "invalid_value", "Idempotency-Key")


async def test_an_absent_database_is_503_with_a_time_to_retry(bench: ApiBench) -> None:
    bench.jobs.is_away = True
    async with bench.client() as client:
        answer = await client.post("/v1/chat/jobs", json=CHAT)
    assert problem(answer) == (503, "unavailable", None)
    assert int(answer.headers["retry-after"]) >= 1


async def test_a_bug_is_500_without_its_details(bench: ApiBench) -> None:
    bench.gates.gates.clear()
    async with bench.client() as client:
        answer = await client.post("/v1/chat/jobs", json=CHAT)
    assert problem(answer) == (500, "internal_error", None)
    assert "KeyError" not in answer.text


@pytest.mark.parametrize(
    ("sent", "kept"), [("my-id.1", True), ("bad id", False), ("x" * 129, False)]
)
async def test_a_sane_request_id_is_kept(bench: ApiBench, sent: str, *, kept: bool) -> None:
    async with bench.client() as client:
        answer = await client.get("/healthz", headers={"x-request-id": sent})
    assert (answer.headers["x-request-id"] == sent) is kept
