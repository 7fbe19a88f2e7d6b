import base64

import numpy as np
import openai
import pytest
from openai.types.chat import ChatCompletionChunk, ChatCompletionUserMessageParam

from tests.contract.simulator.running import Simulator
from tests.contract.simulator.shapes import OPENAI_CHUNK, data_lines, events

_MODEL = "gpt-6-luna"
_SMALL = "text-embedding-3-small"
_MESSAGES: list[ChatCompletionUserMessageParam] = [{"role": "user", "content": "compare queues"}]
_BODY = {"model": _MODEL, "messages": _MESSAGES}


async def test_a_completion_reports_what_is_billed(simulator: Simulator) -> None:
    raw = await simulator.openai.chat.completions.with_raw_response.create(
        model=_MODEL, messages=_MESSAGES
    )
    completion = raw.parse()
    [row] = await simulator.bill()
    assert completion.usage is not None
    assert completion.choices[0].finish_reason == "stop"
    assert "compare queues" in (completion.choices[0].message.content or "")
    assert row["input_tokens"] == completion.usage.prompt_tokens
    assert row["output_tokens"] == completion.usage.completion_tokens
    assert row["request_id"] == raw.headers["x-request-id"] == raw.request_id
    assert row["neurons"] is None
    assert int(raw.headers["x-ratelimit-remaining-requests"]) > 0
    assert raw.headers["openai-processing-ms"]


async def test_a_stream_ends_with_the_usage_chunk(simulator: Simulator) -> None:
    stream = await simulator.openai.chat.completions.create(
        model=_MODEL,
        messages=_MESSAGES,
        reasoning_effort="none",
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks: list[ChatCompletionChunk] = [chunk async for chunk in stream]
    tokens = [
        c.choices[0].delta.content for c in chunks if c.choices and c.choices[0].delta.content
    ]
    assert all(chunk.usage is None for chunk in chunks[:-1])
    assert chunks[-1].choices == []
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == len(tokens)
    assert chunks[-2].choices[0].finish_reason == "stop"


async def test_chunks_carry_obfuscation_unless_told_otherwise(simulator: Simulator) -> None:
    usage = {"include_usage": True}
    plain = {"include_obfuscation": False}
    padded = await simulator.http.post(
        "/v1/chat/completions", json=_BODY | {"stream": True, "stream_options": usage}
    )
    bare = await simulator.http.post(
        "/v1/chat/completions", json=_BODY | {"stream": True, "stream_options": plain}
    )
    assert data_lines(padded.text)[-1] == data_lines(bare.text)[-1] == "[DONE]"
    assert all(c.keys() == OPENAI_CHUNK for c in events(data_lines(padded.text)))
    without = OPENAI_CHUNK - {"usage", "obfuscation"}
    assert all(c.keys() == without for c in events(data_lines(bare.text)))


async def test_a_limit_ends_an_answer_for_length(simulator: Simulator) -> None:
    completion = await simulator.openai.chat.completions.create(
        model=_MODEL, messages=_MESSAGES, max_completion_tokens=3
    )
    assert completion.choices[0].finish_reason == "length"
    assert completion.usage is not None
    assert completion.usage.completion_tokens == 3


async def test_parts_of_a_message_are_read(simulator: Simulator) -> None:
    completion = await simulator.openai.chat.completions.create(
        model=_MODEL,
        messages=[{"role": "user", "content": [{"type": "text", "text": "compare brokers"}]}],
    )
    assert "compare brokers" in (completion.choices[0].message.content or "")


@pytest.mark.parametrize("model", ["gpt-4", "none", _SMALL])
async def test_a_retired_or_unknown_model_is_not_found(simulator: Simulator, model: str) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        await simulator.openai.chat.completions.create(model=model, messages=_MESSAGES)
    assert caught.value.code == "model_not_found"


async def test_a_request_over_the_window_names_the_context_length(simulator: Simulator) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        await simulator.openai.chat.completions.create(
            model="gpt-4o-mini", messages=_MESSAGES, max_tokens=128_000
        )
    assert caught.value.code == "context_length_exceeded"


async def test_missing_messages_are_refused(simulator: Simulator) -> None:
    answer = await simulator.http.post("/v1/chat/completions", json={"model": _MODEL})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "messages")


async def test_a_missing_key_is_unauthorized(simulator: Simulator) -> None:
    answer = await simulator.http.get("/v1/models", headers={"authorization": "Bearer"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "invalid_api_key")


async def test_embeddings_come_as_base64_or_floats(simulator: Simulator) -> None:
    decoded = await simulator.openai.embeddings.create(model=_SMALL, input=["a queue", "a gate"])
    body = {"model": _SMALL, "input": "a queue"}
    floats = (await simulator.http.post("/v1/embeddings", json=body)).json()
    encoded = (
        await simulator.http.post("/v1/embeddings", json=body | {"encoding_format": "base64"})
    ).json()
    vector = np.frombuffer(base64.b64decode(encoded["data"][0]["embedding"]), dtype="<f4")
    assert [item.index for item in decoded.data] == [0, 1]
    assert decoded.usage.prompt_tokens == 3 + 2
    assert floats["data"][0]["embedding"] == pytest.approx(decoded.data[0].embedding, abs=1e-6)
    assert vector == pytest.approx(decoded.data[0].embedding)


async def test_dimensions_are_honoured(simulator: Simulator) -> None:
    answer = await simulator.openai.embeddings.create(model=_SMALL, input="x", dimensions=256)
    assert len(answer.data[0].embedding) == 256


async def test_token_arrays_are_counted_as_they_are(simulator: Simulator) -> None:
    answer = await simulator.openai.embeddings.create(model=_SMALL, input=[[1, 2, 3], [4]])
    one = await simulator.openai.embeddings.create(model=_SMALL, input=[1, 2, 3])
    assert (len(answer.data), answer.usage.prompt_tokens) == (2, 4)
    assert (len(one.data), one.usage.prompt_tokens) == (1, 3)


@pytest.mark.parametrize(
    "body",
    [
        {"input": ""},
        {"input": []},
        {"input": ["x", ""]},
        {"input": ["x"] * 2049},
        {"input": "word " * 8193},
        {"input": ["word " * 8000] * 38},
        {"input": 1},
        {"input": "x", "dimensions": 1537},
        {"input": "x", "encoding_format": "hex"},
        {"input": "x", "model": "text-embedding-ada-002", "dimensions": 256},
    ],
)
async def test_unfit_input_is_refused_and_costs_nothing(
    simulator: Simulator, body: dict[str, object]
) -> None:
    answer = await simulator.http.post("/v1/embeddings", json={"model": _SMALL} | body)
    assert answer.status_code == 400
    assert answer.json()["error"].keys() == {"message", "type", "param", "code"}
    assert await simulator.bill() == []


async def test_the_list_of_models_names_their_end(simulator: Simulator) -> None:
    models = {model.id: model async for model in simulator.openai.models.list()}
    assert "gpt-4" not in models
    assert str(models["gpt-4o-mini"].shutdown_date) == "2099-01-14"
    assert (await simulator.openai.models.retrieve(_MODEL)).id == _MODEL


async def test_a_retired_model_is_not_shown(simulator: Simulator) -> None:
    with pytest.raises(openai.NotFoundError):
        await simulator.openai.models.retrieve("gpt-4")


async def test_an_unknown_path_is_not_found(simulator: Simulator) -> None:
    answer = await simulator.http.get("/v1/nowhere")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, None)
