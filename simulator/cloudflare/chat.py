"""Cloudflare text generation, whole or streamed, in the model's own shape.

Invariant: a whole answer is on the bill before its first byte leaves.
"""

from simulator.answers import Answer
from simulator.behaviour import Mode
from simulator.chat_request import ChatRequest, read_chat
from simulator.cloudflare import errors
from simulator.cloudflare.dialects import NativeStream, OpenaiLikeStream
from simulator.cloudflare.envelope import send_result
from simulator.cloudflare.models import has_json_schema, ignores_stream, speaks_openai, thinks
from simulator.cloudflare.results import chat_result
from simulator.exchange import Exchange
from simulator.json_values import JsonObject
from simulator.sending import compute, keep_silent
from simulator.simulation import ModelCall
from simulator.streaming import Dialect, stream_answer

# Older catalogue models stop there unless told otherwise (Cloudflare model pages, 2026-03).
_DEFAULT_MAX_TOKENS = 256


async def run_chat(exchange: Exchange, call: ModelCall, body: JsonObject) -> None:
    """Answer one text-generation call."""
    request = read_chat(body, _DEFAULT_MAX_TOKENS)
    _check(request, call)
    streamed = request.streamed and not ignores_stream(call.model)
    mode = call.conduct.mode
    if mode is Mode.SILENT:
        await keep_silent(exchange, streamed=streamed)
        return
    charge = call.charge(request.input_tokens)
    answer = request.answer(mode, thinks=thinks(call.model, body))
    if streamed:
        dialect = _dialect(call, request, answer)
        await stream_answer(exchange, dialect, answer, charge, call.conduct)
        return
    await compute(answer, charge, call.conduct)
    result = chat_result(call, request, answer, is_prompt="prompt" in body)
    await send_result(exchange, call, charge, result)


def _check(request: ChatRequest, call: ModelCall) -> None:
    wanted_format = request.response_format
    if wanted_format is not None:
        if request.streamed:
            raise errors.failure(
                "5006", "AiError: JSON Mode couldn't be met: not available for streams"
            )
        if wanted_format.get("type") == "json_schema" and not has_json_schema(call.model):
            raise errors.failure("5025")
    window = call.price.context_tokens
    wanted = request.input_tokens + (request.max_tokens or 0)
    if window is not None and wanted > window:
        raise errors.over_window(wanted, window)


def _dialect(call: ModelCall, request: ChatRequest, answer: Answer) -> Dialect:
    if speaks_openai(call.model):
        return OpenaiLikeStream(
            call.request_id, call.created, call.price, request.input_tokens, answer
        )
    return NativeStream(answer)
