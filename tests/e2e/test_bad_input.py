"""Whatever a client sends: a 4xx in the one error shape, and nothing is queued or charged."""

import json
from dataclasses import dataclass, field

import pytest
from pydantic import BaseModel, JsonValue

from tests.support.stack_client import StackClient
from tests.support.stacks import RunningStack

pytestmark = pytest.mark.e2e

CHAT = "/v1/chat/jobs"
MESSAGES: JsonValue = [{"role": "user", "content": "Hello"}]
MEGABYTE = 1 << 20


class ErrorBody(BaseModel):
    """The contract's error."""

    message: str
    type: str
    code: str
    param: str | None


class Problem(BaseModel):
    """The contract's answer to what is wrong."""

    error: ErrorBody


@dataclass(frozen=True, slots=True)
class Bad:
    """A request, and the status it deserves."""

    status: int
    body: bytes
    path: str = CHAT
    headers: dict[str, str] = field(default_factory=dict[str, str])


def chat(**changes: JsonValue) -> bytes:
    """Return a chat request with something wrong."""
    return json.dumps({"messages": MESSAGES, **changes}).encode()


def says(content: JsonValue) -> bytes:
    """Return a chat request with this content."""
    return chat(messages=[{"role": "user", "content": content}])


BAD = {
    "no_key": Bad(401, chat(), headers={"Authorization": ""}),
    "wrong_key": Bad(401, chat(), headers={"Authorization": "Bearer sk-slw-wrong"}),
    "other_scheme": Bad(401, chat(), headers={"Authorization": "Basic dXNlcjpwYXNz"}),
    "no_body": Bad(400, b""),
    "no_json": Bad(400, b"{messages: hello}"),
    "half_json": Bad(400, b'{"messages": ['),
    "no_utf8": Bad(400, b'{"messages": "\xff\xfe"}'),
    "deep_nesting": Bad(400, b'{"messages": ' + b"[" * 200_000),
    "deep_metadata": Bad(400, b'{"metadata": {"a": ' + b'{"a": ' * 50_000 + b"1"),
    "a_list": Bad(422, b"[]"),
    "a_number": Bad(422, b"7"),
    "nothing_in_it": Bad(422, b"{}"),
    "unknown_field": Bad(422, chat(colour="blue")),
    "no_messages": Bad(422, chat(messages=[])),
    "messages_of_wrong_type": Bad(422, chat(messages="Hello")),
    "content_of_wrong_type": Bad(422, says(7)),
    "content_empty": Bad(422, says("")),
    "content_with_nul": Bad(422, says("a\0b")),
    "role_unknown": Bad(422, chat(messages=[{"role": "king", "content": "Hello"}])),
    "model_unknown": Bad(422, chat(model="no-such-model")),
    "model_with_nul": Bad(422, chat(model="a\0b")),
    "max_tokens_zero": Bad(422, chat(max_tokens=0)),
    "max_tokens_huge": Bad(422, chat(max_tokens=10**30)),
    "max_tokens_text": Bad(422, chat(max_tokens="7")),
    "max_tokens_true": Bad(422, chat(max_tokens=True)),
    "temperature_nan": Bad(422, chat(temperature=float("nan"))),
    "temperature_high": Bad(422, chat(temperature=3)),
    "deadline_past": Bad(422, chat(deadline="2020-01-01T00:00:00Z")),
    "deadline_naive": Bad(422, chat(deadline="2999-01-01T00:00:00")),
    "deadline_absurd": Bad(422, chat(deadline="999999-01-01T00:00:00Z")),
    "metadata_with_nul": Bad(422, chat(metadata={"a": ["b\0"]})),
    "lone_surrogate": Bad(400, b'{"messages":[{"role":"user","content":"\\ud800"}]}'),
    "idempotency_key_long": Bad(422, chat(), headers={"Idempotency-Key": "x" * 300}),
    "huge_body": Bad(413, says("x" * (9 * MEGABYTE))),
    "no_texts": Bad(422, b'{"input": []}', "/v1/embeddings/jobs"),
    "text_empty": Bad(422, b'{"input": [""]}', "/v1/embeddings/jobs"),
    "text_huge": Bad(422, json.dumps({"input": ["x" * 40_000]}).encode(), "/v1/embeddings/jobs"),
    "too_many_texts": Bad(422, json.dumps({"input": ["x"] * 3000}).encode(), "/v1/embeddings/jobs"),
    "no_such_address": Bad(404, chat(), "/v1/chat/jobz"),
    "no_collection": Bad(404, b'{"query": "x"}', "/v1/collections/nowhere/search"),
    "search_k_huge": Bad(422, b'{"query": "x", "k": 100000}', "/v1/collections/nowhere/search"),
    "budget_by_user": Bad(403, b'{"window": "day"}', "/v1/admin/keys"),
}


@pytest.mark.parametrize("name", list(BAD))
async def test_bad_input_is_refused_in_the_one_shape_and_costs_nothing(
    stack: RunningStack, client: StackClient, name: str
) -> None:
    bad = BAD[name]
    before = _traces(stack)
    answer = await client.http.post(
        client.ready.api + bad.path, content=bad.body, headers=client.login("free") | bad.headers
    )
    assert answer.status_code == bad.status, answer.text[:500]
    problem = Problem.model_validate_json(answer.content)
    assert problem.error.message
    assert "x-request-id" in answer.headers
    assert _traces(stack) == before


async def test_another_users_job_does_not_exist(client: StackClient) -> None:
    job = await client.finished(await client.submit("Whose am I?"))
    for path in ("", "/events"):
        answer = await client.http.get(
            f"{client.ready.api}/v1/jobs/{job.id}{path}", headers=client.login("free")
        )
        assert answer.status_code == 404, answer.text


def _traces(stack: RunningStack) -> list[tuple[object, ...]]:
    """What the free user's requests have left behind."""
    return stack.rows(
        """
        SELECT (SELECT count(*) FROM jobs WHERE user_id = 'demo-free'),
            (SELECT count(*) FROM attempts a JOIN jobs j ON j.id = a.job_id
                WHERE j.user_id = 'demo-free'),
            (SELECT count(*) FROM ledger_entries WHERE user_id = 'demo-free')
        """
    )
