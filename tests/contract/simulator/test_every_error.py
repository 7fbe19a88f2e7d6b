"""Every error that the providers are known to answer with (see `facts/`) can be had."""

import csv
import json
from pathlib import Path

import openai
import pytest
from openai.types.chat import ChatCompletionUserMessageParam

from tests.contract.simulator.running import Simulator
from tests.contract.simulator.schemas import (
    captured,
    check_cloudflare,
    check_openai,
    shape_of,
)
from tests.contract.simulator.shapes import data_lines

_FACTS = Path(__file__).parent / "facts"
_NATIVE = "@cf/meta/llama-3.2-3b-instruct"
_GEMMA = "@cf/google/gemma-4-26b-a4b-it"
_MESSAGES: list[ChatCompletionUserMessageParam] = [{"role": "user", "content": "compare queues"}]
_CHAT: dict[str, object] = {"messages": _MESSAGES}
_LUNA: dict[str, object] = _CHAT | {"model": "gpt-6-luna"}


def _rows(provider: str) -> list[dict[str, str]]:
    with (_FACTS / f"errors.{provider}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


_CLOUDFLARE = _rows("cloudflare")
_OPENAI = [row for row in _rows("openai") if row["surface"] == "api"]


def _openai_name(row: dict[str, str]) -> str:
    return "/".join(part for part in (row["http_status"], row["code"]) if part)


def test_the_facts_are_complete() -> None:
    assert (len(_CLOUDFLARE), len(_OPENAI)) == (31, 19)


@pytest.mark.parametrize("row", _CLOUDFLARE, ids=lambda row: row["code"])
async def test_cloudflare_answers_with_each_code(simulator: Simulator, row: dict[str, str]) -> None:
    await simulator.set("cloudflare", mode="error", error=row["code"])
    answer = await simulator.run(_NATIVE, _CHAT | {"stream": True})
    body = answer.json()
    assert answer.status_code == int(row["http_status"])
    assert "retry-after" not in answer.headers
    assert answer.headers["cf-ray"]
    if row["surface"] == "ai_gateway":
        assert shape_of(body) == shape_of(captured("cf_aig_error_2045_http429"))
        assert (body["internalCode"], body["httpCode"]) == (int(row["code"]), answer.status_code)
    else:
        check_cloudflare("envelope.error", body)
        assert body["errors"][0]["code"] == int(row["code"])
        assert body["result"] == (None if row["surface"] == "cloudflare_api" else {})
    assert await simulator.bill() == []


@pytest.mark.parametrize(
    ("code", "status"),
    [(10000, 401), (3021, 429), (3030, 400), (3036, 429), (3040, 429), (5021, 413), (5028, 410)],
)
async def test_cloudflare_words_its_errors_as_captured(
    simulator: Simulator, code: int, status: int
) -> None:
    await simulator.set("cloudflare", mode="error", error=code)
    answer = (await simulator.run(_NATIVE, _CHAT)).json()
    expected = captured(f"cf_error_{code}_http{status}")
    assert shape_of(answer) == shape_of(expected)
    start = _message(expected).split(" (")[0]
    assert _message(answer).startswith(start)


async def test_a_token_without_the_permission_is_forbidden(simulator: Simulator) -> None:
    await simulator.set("cloudflare", mode="error", error="403/10000")
    answer = await simulator.run(_NATIVE, _CHAT)
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (403, 10000)


@pytest.mark.parametrize("status", [500, 502, 503, 504, 520, 521, 522, 524])
async def test_cloudflares_edge_answers_without_json(simulator: Simulator, status: int) -> None:
    await simulator.set("cloudflare", mode="error", error=status)
    answer = await simulator.run(_NATIVE, _CHAT)
    assert (answer.status_code, answer.text) == (status, f"error code: {status}")


@pytest.mark.parametrize("row", _OPENAI, ids=_openai_name)
async def test_openai_answers_with_each_code(simulator: Simulator, row: dict[str, str]) -> None:
    await simulator.set("openai", mode="error", error=_openai_name(row))
    with pytest.raises(openai.APIStatusError) as caught:
        await simulator.openai.chat.completions.create(model="gpt-6-luna", messages=_MESSAGES)
    error, headers = caught.value, caught.value.response.headers
    check_openai("ErrorResponse", error.response.json())
    assert type(error).__name__ == row["sdk_exception"]
    assert error.status_code == int(row["http_status"])
    assert error.code == (row["code"] or None)
    assert not row["type"] or error.type in row["type"].split(" or ")
    assert ("retry-after" in headers) == (row["http_status"] == "429" and row["retry"] == "yes")
    assert (headers.get("x-should-retry") == "false") == row["action"].startswith("money")
    assert headers["x-request-id"]
    assert await simulator.bill() == []


@pytest.mark.parametrize("code", sorted({row["code"] for row in _OPENAI if row["code"]}))
async def test_an_openai_code_is_name_enough(simulator: Simulator, code: str) -> None:
    await simulator.set("openai", mode="error", error=code)
    answer = await simulator.http.post("/v1/chat/completions", json=_LUNA)
    assert answer.json()["error"]["code"] == code


async def test_a_limit_of_tokens_is_told_from_one_of_requests(simulator: Simulator) -> None:
    await simulator.set("openai", mode="error", error="429/rate_limit_exceeded/tokens")
    answer = await simulator.http.post("/v1/chat/completions", json=_LUNA)
    assert answer.json()["error"]["type"] == "tokens"


@pytest.mark.parametrize(("provider", "error"), [("cloudflare", "slow_down"), ("openai", "3030")])
async def test_an_error_of_the_other_provider_is_refused(
    simulator: Simulator, provider: str, error: str
) -> None:
    body = {provider: {"mode": "error", "error": error}}
    answer = await simulator.http.put("/_control", json=body)
    assert answer.status_code == 422


async def test_a_share_of_calls_fails_with_the_error(simulator: Simulator) -> None:
    await simulator.set("cloudflare", mode="error", error="5018", probability=0.5)
    statuses = [(await simulator.run(_NATIVE, _CHAT)).status_code for _ in range(4)]
    assert statuses == [200, 403, 200, 403]


async def test_an_error_without_a_name_is_the_servers(simulator: Simulator) -> None:
    await simulator.set("cloudflare", mode="error")
    await simulator.set("openai", mode="error")
    openai_answer = await simulator.http.post("/v1/chat/completions", json=_LUNA)
    assert (await simulator.run(_NATIVE, _CHAT)).status_code == openai_answer.status_code == 500


@pytest.mark.parametrize("model", [_NATIVE, _GEMMA])
@pytest.mark.parametrize(("error", "code"), [(None, 3040), ("3036", 3036)])
async def test_cloudflare_fails_in_the_middle_of_a_stream(
    simulator: Simulator, model: str, error: str | None, code: int
) -> None:
    await simulator.set("cloudflare", mode="error_in_stream", after_chunks=2, error=error)
    lines = data_lines((await simulator.run(model, _CHAT | {"stream": True})).text)
    assert json.loads(lines[-1])["errors"][0]["code"] == code
    [row] = await simulator.bill()
    assert (row["output_tokens"], row["completed"]) == (2, False)


@pytest.mark.parametrize("error", [None, "server_is_overloaded"])
async def test_openai_fails_in_the_middle_of_a_stream(
    simulator: Simulator, error: str | None
) -> None:
    await simulator.set("openai", mode="error_in_stream", after_chunks=2, error=error)
    stream = await simulator.openai.chat.completions.create(
        model="gpt-6-luna", messages=_MESSAGES, reasoning_effort="none", stream=True
    )
    for _ in range(3):
        await anext(stream)
    with pytest.raises(openai.APIError) as caught:
        await anext(stream)
    assert caught.value.code == error
    [row] = await simulator.bill()
    assert (row["output_tokens"], row["completed"]) == (2, False)


def _message(body: dict[str, object]) -> str:
    [error] = json.loads(json.dumps(body["errors"]))
    return str(error["message"])
