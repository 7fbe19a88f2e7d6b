from urllib.parse import quote

import pytest

from tests.contract.simulator.running import Simulator
from tests.contract.simulator.shapes import (
    CF_BOTH,
    CF_CHUNK,
    CF_NATIVE,
    CF_OPENAI_LIKE,
    CF_PRICED_USAGE,
    CF_PROMPT,
    CF_USAGE,
    ENVELOPE,
    data_lines,
    events,
    usage_of,
)

_NATIVE = "@cf/meta/llama-3.2-3b-instruct"
_BOTH = "@cf/meta/llama-3.1-8b-instruct-fast"
_LIKE_OPENAI = "@cf/google/gemma-4-26b-a4b-it"
_RETIRED = "@cf/meta/llama-3.1-8b-instruct"
_CHAT = {"messages": [{"role": "user", "content": "compare message queues"}]}


@pytest.mark.parametrize("model", [_NATIVE, quote(_NATIVE, safe="@"), quote(_NATIVE, safe="")])
async def test_the_model_may_be_raw_or_percent_encoded(simulator: Simulator, model: str) -> None:
    answer = await simulator.run(model, _CHAT)
    assert answer.status_code == 200
    assert answer.json().keys() == ENVELOPE


async def test_a_native_answer_has_its_usage_and_no_neurons(simulator: Simulator) -> None:
    answer = await simulator.run(_NATIVE, _CHAT)
    result = answer.json()["result"]
    assert result.keys() == CF_NATIVE
    assert result["usage"].keys() == CF_USAGE
    assert "compare message queues" in result["response"]


async def test_an_openai_like_answer_names_neurons_and_another_model(simulator: Simulator) -> None:
    answer = await simulator.run(_LIKE_OPENAI, _CHAT)
    result = answer.json()["result"]
    assert result.keys() == CF_OPENAI_LIKE
    assert result["usage"].keys() == CF_PRICED_USAGE
    assert result["model"] == f"{_LIKE_OPENAI}-external"
    assert result["choices"][0]["finish_reason"] == "stop"
    assert float(answer.headers["cf-ai-neurons"]) == result["usage"]["neurons"]


async def test_some_models_answer_in_both_shapes(simulator: Simulator) -> None:
    result = (await simulator.run(_BOTH, _CHAT)).json()["result"]
    assert result.keys() == CF_BOTH
    assert result["choices"][0]["message"]["content"] == result["response"]
    assert result["model"] == "@cf/meta/llama-3.1-8b-fast-v2"


async def test_json_mode_answers_with_an_object(simulator: Simulator) -> None:
    body = _CHAT | {"response_format": {"type": "json_object"}}
    result = (await simulator.run(_NATIVE, body)).json()["result"]
    assert result["response"].keys() == {"answer"}


async def test_json_mode_refuses_streams(simulator: Simulator) -> None:
    body = _CHAT | {"response_format": {"type": "json_object"}, "stream": True}
    answer = await simulator.run(_NATIVE, body)
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (400, 5006)


async def test_prompt_mode_answers_with_text(simulator: Simulator) -> None:
    result = (await simulator.run(_NATIVE, {"prompt": "once", "max_tokens": 5})).json()["result"]
    assert result.keys() == CF_PROMPT
    assert result["choices"][0].keys() == {"finish_reason", "text"}
    assert result["usage"] == {"prompt_tokens": 5, "completion_tokens": 5}


async def test_the_native_stream_ends_with_usage_and_the_terminator(simulator: Simulator) -> None:
    answer = await simulator.run(_NATIVE, _CHAT | {"stream": True})
    lines = data_lines(answer.text)
    chunks = events(lines)
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert lines[-1] == "[DONE]"
    assert chunks[0].keys() == {"response", "p"}
    assert chunks[-2] == {"response": ""}
    assert usage_of(chunks[-1])["completion_tokens"] == len(chunks) - 2


async def test_the_openai_like_stream_reports_increments_then_the_sum(simulator: Simulator) -> None:
    answer = await simulator.run(_LIKE_OPENAI, _CHAT | {"stream": True})
    lines = data_lines(answer.text)
    *chunks, last = events(lines)
    assert lines[-1] == "[DONE]"
    assert all(chunk.keys() == CF_CHUNK for chunk in chunks)
    assert chunks[-1]["choices"] == []
    assert last.keys() == {"response", "usage"}
    for name in ("prompt_tokens", "completion_tokens", "total_tokens", "neurons"):
        assert sum(usage_of(chunk)[name] for chunk in chunks) == pytest.approx(usage_of(last)[name])


async def test_the_whole_and_the_streamed_answer_are_the_same_text(simulator: Simulator) -> None:
    whole = (await simulator.run(_NATIVE, _CHAT)).json()["result"]["response"]
    streamed = await simulator.run(_NATIVE, _CHAT | {"stream": True})
    assert "".join(str(c["response"]) for c in events(data_lines(streamed.text))) == whole


@pytest.mark.parametrize(
    ("model", "body", "status", "code"),
    [
        (_RETIRED, _CHAT, 410, 5028),
        ("@cf/none", _CHAT, 400, 5007),
        (_NATIVE, {}, 400, 8001),
        (_NATIVE, {"messages": [{"role": "user", "content": None}]}, 400, 8001),
        (_NATIVE, _CHAT | {"max_tokens": 0}, 400, 8001),
        (_NATIVE, _CHAT | {"max_tokens": 80_000}, 413, 5021),
        (f"{_NATIVE}?queueRequest=true", {"requests": []}, 400, 5006),
    ],
)
async def test_a_refused_call_names_its_code_and_costs_nothing(
    simulator: Simulator, model: str, body: dict[str, object], status: int, code: int
) -> None:
    answer = await simulator.run(model, body)
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (status, code)
    assert answer.json().keys() == ENVELOPE
    assert answer.headers["cf-ray"]
    assert await simulator.bill() == []


async def test_a_body_that_is_no_object_is_incomplete(simulator: Simulator) -> None:
    path = f"/client/v4/accounts/acc/ai/run/{_NATIVE}"
    answer = await simulator.http.post(path, content=b"[1")
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (400, 3003)


@pytest.mark.parametrize("authorization", ["", "Bearer", "Basic abc"])
async def test_a_missing_token_is_unauthorized(simulator: Simulator, authorization: str) -> None:
    path = f"/client/v4/accounts/acc/ai/run/{_NATIVE}"
    headers = {"authorization": authorization}
    answer = await simulator.http.post(path, json=_CHAT, headers=headers)
    assert answer.status_code == 401
    assert answer.json()["errors"] == [{"code": 10000, "message": "Authentication error"}]
    assert answer.json()["result"] is None


async def test_the_catalogue_lists_living_models(simulator: Simulator) -> None:
    path = "/client/v4/accounts/acc/ai/models/search"
    living = (await simulator.http.get(path, params={"task": "Text Generation"})).json()["result"]
    every = (await simulator.http.get(path, params={"include_deprecated": "true"})).json()["result"]
    assert {_NATIVE, _BOTH, _LIKE_OPENAI} < {model["name"] for model in living}
    assert _RETIRED not in {model["name"] for model in living}
    assert _RETIRED in {model["name"] for model in every}


async def test_an_unknown_path_has_no_route(simulator: Simulator) -> None:
    answer = await simulator.http.get("/client/v4/accounts/acc/ai/nowhere")
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (404, 7003)
