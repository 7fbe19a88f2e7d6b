"""What is set for single models, and what is peculiar to them."""

import json

import pytest

from tests.contract.simulator.running import Simulator
from tests.contract.simulator.shapes import data_lines, events

_NATIVE = "@cf/meta/llama-3.2-3b-instruct"
_GEMMA = "@cf/google/gemma-4-26b-a4b-it"
_GPT_OSS = "@cf/openai/gpt-oss-20b"
_KIMI = "@cf/moonshotai/kimi-k2.6"
_FP8 = "@cf/meta/llama-3.1-8b-instruct-fp8"
_CHAT: dict[str, object] = {"messages": [{"role": "user", "content": "compare message queues"}]}
_QUIET: dict[str, object] = {"chat_template_kwargs": {"enable_thinking": False}}
_RUN = "/client/v4/accounts/acc/ai/run"


async def test_a_model_behaves_in_its_own_way(simulator: Simulator) -> None:
    await simulator.set("cloudflare", models={_NATIVE: {"mode": "down"}})
    assert (await simulator.run(_NATIVE, _CHAT)).status_code == 503
    assert (await simulator.run(_GEMMA, _CHAT)).status_code == 200
    await simulator.set("cloudflare", mode="rate_limited", models={_NATIVE: {"mode": "ok"}})
    assert (await simulator.run(_NATIVE, _CHAT)).status_code == 200
    assert (await simulator.run(_GEMMA, _CHAT)).status_code == 429
    await simulator.set("cloudflare", models={_NATIVE: None})
    assert (await simulator.run(_NATIVE, _CHAT)).status_code == 429
    assert (await simulator.http.get("/_control")).json()["cloudflare"]["models"] == {}


async def test_an_openai_model_behaves_in_its_own_way(simulator: Simulator) -> None:
    await simulator.set("openai", models={"gpt-6-luna": {"mode": "quota"}})
    answers = [
        await simulator.http.post("/v1/chat/completions", json=_CHAT | {"model": model})
        for model in ("gpt-6-luna", "gpt-4o-mini")
    ]
    assert [answer.status_code for answer in answers] == [429, 200]


@pytest.mark.parametrize("model", [_GEMMA, _KIMI, _GPT_OSS])
async def test_a_reasoning_model_thinks_first(simulator: Simulator, model: str) -> None:
    thinking = (await simulator.run(model, _CHAT)).json()["result"]
    quiet = (await simulator.run(model, _CHAT | _QUIET)).json()["result"]
    field = "reasoning" if model == _GPT_OSS else "reasoning_content"
    thoughts = thinking["choices"][0]["message"].pop(field)
    assert len(thoughts) > 32
    assert thinking["choices"] == quiet["choices"]
    spent, needed = (one["usage"]["completion_tokens"] for one in (thinking, quiet))
    assert spent >= needed + 32
    assert [row["output_tokens"] for row in await simulator.bill()] == [spent, needed]


@pytest.mark.parametrize(
    "told", [{"thinking": False}, {"chat_template_kwargs": {"thinking": False}}]
)
async def test_kimi_has_a_switch_of_its_own(simulator: Simulator, told: dict[str, object]) -> None:
    message = (await simulator.run(_KIMI, _CHAT | told)).json()["result"]["choices"][0]["message"]
    assert message.keys() == {"role", "content"}


async def test_thoughts_come_as_chunks_of_their_own(simulator: Simulator) -> None:
    answer = await simulator.run(_GEMMA, _CHAT | {"stream": True})
    *chunks, last = events(data_lines(answer.text))
    deltas = [
        choice["delta"] for chunk in chunks for choice in json.loads(json.dumps(chunk["choices"]))
    ]
    thoughts = [delta for delta in deltas if delta.get("reasoning_content")]
    texts = [delta for delta in deltas if delta.get("content")]
    assert deltas[1 : 1 + len(thoughts)] == thoughts
    usage = json.loads(json.dumps(last["usage"]))
    assert usage["completion_tokens"] == len(thoughts) + len(texts)


@pytest.mark.parametrize("streamed", [True, False])
async def test_thinking_can_spend_every_token(simulator: Simulator, *, streamed: bool) -> None:
    body = _CHAT | {"max_tokens": 20, "stream": streamed}
    answer = await simulator.run(_GEMMA, body)
    assert '"finish_reason":"length"' in answer.text
    assert '"completion_tokens":20' in answer.text
    assert "wrote" not in answer.text


async def test_luna_reasons_unless_told_not_to(simulator: Simulator) -> None:
    answers = [
        (
            await simulator.http.post("/v1/chat/completions", json=body | {"model": "gpt-6-luna"})
        ).json()
        for body in (_CHAT, _CHAT | {"reasoning_effort": "none"})
    ]
    spent = [answer["usage"]["completion_tokens_details"]["reasoning_tokens"] for answer in answers]
    assert spent[0] >= 32
    assert spent[1] == 0
    assert answers[0]["choices"] == answers[1]["choices"]


async def test_gpt_oss_ignores_stream(simulator: Simulator) -> None:
    answer = await simulator.run(_GPT_OSS, _CHAT | {"stream": True})
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["result"]["choices"][0]["message"]["content"]


async def test_one_model_has_no_json_schema(simulator: Simulator) -> None:
    wanted = {"type": "json_schema", "json_schema": {"properties": {"a": {"type": "integer"}}}}
    refused = await simulator.run(_FP8, _CHAT | {"response_format": wanted})
    assert (refused.status_code, refused.json()["errors"][0]["code"]) == (400, 5025)
    body = _CHAT | {"response_format": {"type": "json_object"}}
    assert (await simulator.run(_FP8, body)).status_code == 200


@pytest.mark.parametrize("model", [_NATIVE, "@cf/baai/bge-m3"])
async def test_the_newer_form_names_the_model_in_its_body(simulator: Simulator, model: str) -> None:
    given = _CHAT | {"text": "one"}
    body = {"model": model, "input": given}
    headers = {"cf-aig-gateway-id": "default"}
    answer = await simulator.http.post(_RUN, json=body, headers=headers)
    assert answer.status_code == 200
    assert answer.json() == (await simulator.run(model, given)).json()


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        ({"model": _NATIVE, "input": _CHAT}, {}),
        ({"model": _NATIVE}, {"cf-aig-gateway-id": "default"}),
        ({"input": _CHAT}, {"cf-aig-gateway-id": "default"}),
    ],
)
async def test_the_newer_form_must_be_complete(
    simulator: Simulator, body: dict[str, object], headers: dict[str, str]
) -> None:
    answer = await simulator.http.post(_RUN, json=body, headers=headers)
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (400, 3003)


async def test_a_free_plan_ends_with_its_neurons_until_midnight(simulator: Simulator) -> None:
    await simulator.http.put("/_control", json={"clock": "2026-11-22T23:50:00Z"})
    await simulator.set("cloudflare", plan="free", free_neurons_per_day=0.1)
    assert (await simulator.run(_NATIVE, _CHAT)).status_code == 200
    refused = await simulator.run(_NATIVE, _CHAT)
    assert (refused.status_code, refused.json()["errors"][0]["code"]) == (429, 3036)
    await simulator.http.put("/_control", json={"clock": "2026-11-23T00:00:00Z"})
    assert (await simulator.run(_NATIVE, _CHAT)).status_code == 200


async def test_a_free_plan_has_ten_thousand_neurons_and_no_paid_models(
    simulator: Simulator,
) -> None:
    await simulator.set("cloudflare", plan="free")
    assert (await simulator.run(_NATIVE, _CHAT)).status_code == 200
    refused = await simulator.run(_KIMI, _CHAT)
    assert (refused.status_code, refused.json()["errors"][0]["code"]) == (403, 5035)
    assert (await simulator.http.get("/_bill/total")).json()["total_usd"] == "0"
