import jsonschema
import pytest

from tests.contract.simulator.running import Simulator
from tests.contract.simulator.schemas import check_cloudflare, check_openai
from tests.contract.simulator.shapes import data_lines, events

_NATIVE = "@cf/meta/llama-3.2-3b-instruct"
_BOTH = "@cf/meta/llama-3.1-8b-instruct-fast"
_LIKE_OPENAI = "@cf/google/gemma-4-26b-a4b-it"
_LUNA = "gpt-6-luna"
_CHAT: dict[str, object] = {"messages": [{"role": "user", "content": "compare message queues"}]}
_NONE: dict[str, object] = {"properties": {}}
_TOOL = {"type": "function", "function": {"name": "look", "parameters": _NONE}}
_VARIANTS: list[dict[str, object]] = [
    {},
    {"max_tokens": 5},
    {"response_format": {"type": "json_object"}},
    {"tools": [_TOOL], "tool_choice": "required"},
]


@pytest.mark.parametrize("changes", _VARIANTS)
@pytest.mark.parametrize(
    ("model", "entry"),
    [(_NATIVE, "native"), (_BOTH, "native"), (_BOTH, "openai_like"), (_LIKE_OPENAI, "openai_like")],
)
async def test_cloudflare_chats_fit_their_schema(
    simulator: Simulator, model: str, entry: str, changes: dict[str, object]
) -> None:
    answer = (await simulator.run(model, _CHAT | changes)).json()
    check_cloudflare("envelope.success", answer)
    check_cloudflare(f"result.text_generation.{entry}", answer["result"])


async def test_a_native_answer_fits_the_sdks_type(simulator: Simulator) -> None:
    check_cloudflare("request.Messages", _CHAT)
    answer = (await simulator.run(_NATIVE, _CHAT)).json()
    check_cloudflare("response.TextGeneration", answer["result"])


@pytest.mark.parametrize(
    ("model", "entry"),
    [
        ("@cf/baai/bge-m3", "model.@cf/baai/bge-m3.result"),
        ("@cf/baai/bge-m3", "response.TextEmbeddings"),
        ("@cf/qwen/qwen3-embedding-0.6b", "model.@cf/qwen/qwen3-embedding-0.6b.result"),
        ("@cf/baai/bge-base-en-v1.5", "response.TextEmbeddings"),
    ],
)
async def test_cloudflare_embeddings_fit_their_schema(
    simulator: Simulator, model: str, entry: str
) -> None:
    answer = (await simulator.run(model, {"text": ["one", "one two"]})).json()
    check_cloudflare("envelope.success", answer)
    check_cloudflare(entry, answer["result"])


async def test_cloudflare_errors_fit_their_schema(simulator: Simulator) -> None:
    answer = (await simulator.run(_NATIVE, {})).json()
    check_cloudflare("envelope.error", answer)
    with pytest.raises(jsonschema.ValidationError):
        check_cloudflare("envelope.success", answer)


async def test_the_model_search_fits_the_envelope(simulator: Simulator) -> None:
    path = "/client/v4/accounts/acc/ai/models/search"
    check_cloudflare("envelope.success", (await simulator.http.get(path)).json())


@pytest.mark.parametrize("changes", _VARIANTS)
async def test_openai_completions_fit_their_schema(
    simulator: Simulator, changes: dict[str, object]
) -> None:
    body = _CHAT | {"model": _LUNA} | changes
    answer = (await simulator.http.post("/v1/chat/completions", json=body)).json()
    check_openai("CreateChatCompletionResponse", answer)
    with pytest.raises(jsonschema.ValidationError):
        check_openai("CreateChatCompletionResponse", answer | {"choices": None})


@pytest.mark.parametrize("changes", _VARIANTS)
@pytest.mark.parametrize("includes_usage", [True, False])
async def test_openai_chunks_fit_their_schema(
    simulator: Simulator, changes: dict[str, object], *, includes_usage: bool
) -> None:
    options = {"stream": True, "stream_options": {"include_usage": includes_usage}}
    body = _CHAT | {"model": _LUNA} | changes | options
    answer = await simulator.http.post("/v1/chat/completions", json=body)
    for chunk in events(data_lines(answer.text)):
        check_openai("CreateChatCompletionStreamResponse", chunk)


@pytest.mark.parametrize("encoding", ["float", "base64"])
async def test_openai_embeddings_fit_their_schema(simulator: Simulator, encoding: str) -> None:
    body = {"model": "text-embedding-3-small", "input": "a queue", "encoding_format": encoding}
    answer = (await simulator.http.post("/v1/embeddings", json=body)).json()
    if encoding == "base64":
        # The specification knows floats only; the API also answers with text.
        answer["data"][0]["embedding"] = [0.5]
    check_openai("CreateEmbeddingResponse", answer)


async def test_openai_models_fit_their_schema(simulator: Simulator) -> None:
    check_openai("ListModelsResponse", (await simulator.http.get("/v1/models")).json())
    check_openai("Model", (await simulator.http.get(f"/v1/models/{_LUNA}")).json())
    missing = await simulator.http.get("/v1/models/gpt-4")
    check_openai("ErrorResponse", missing.json())
