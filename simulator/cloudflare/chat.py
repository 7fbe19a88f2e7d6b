"""Cloudflare text generation, whole or streamed, in the model's own shape.

Invariant: a whole answer is on the bill before its first byte leaves.
"""

from simulator.answers import Answer
from simulator.chat_request import ChatRequest, read_chat
from simulator.cloudflare import errors
from simulator.cloudflare.dialects import (
    NativeStream,
    OpenaiLikeStream,
    answers_in_both_shapes,
    priced_usage,
    reported_model,
    speaks_openai,
    token_usage,
)
from simulator.cloudflare.envelope import send_result
from simulator.exchange import Exchange
from simulator.json_values import JsonObject, decode_object
from simulator.sending import compute
from simulator.simulation import ModelCall
from simulator.streaming import Dialect, stream_answer

# Older catalogue models stop there unless told otherwise (Cloudflare model pages, 2026-03).
_DEFAULT_MAX_TOKENS = 256


async def run_chat(exchange: Exchange, call: ModelCall, body: JsonObject) -> None:
    """Answer one text-generation call."""
    request = read_chat(body, _DEFAULT_MAX_TOKENS)
    _check(request, call)
    charge = call.charge(request.input_tokens)
    answer = request.answer(call.behaviour.mode)
    if request.streamed:
        dialect = _dialect(call, request)
        await stream_answer(exchange, dialect, answer, charge, call.behaviour)
        return
    await compute(answer, charge, call.behaviour)
    await send_result(
        exchange, call, charge, _result(call, request, answer, is_prompt="prompt" in body)
    )


def _check(request: ChatRequest, call: ModelCall) -> None:
    if request.streamed and request.response_format is not None:
        raise errors.failure(
            400, 5006, "AiError: JSON Mode couldn't be met: not available for streams"
        )
    window = call.price.context_tokens
    wanted = request.input_tokens + (request.max_tokens or 0)
    if window is not None and wanted > window:
        raise errors.over_window(wanted, window)


def _dialect(call: ModelCall, request: ChatRequest) -> Dialect:
    if speaks_openai(call.model):
        return OpenaiLikeStream(call.request_id, call.created, call.price, request.input_tokens)
    return NativeStream()


def _result(
    call: ModelCall, request: ChatRequest, answer: Answer, *, is_prompt: bool
) -> JsonObject:
    usage = token_usage(request.input_tokens, answer.output_tokens)
    if is_prompt:
        choice = {"finish_reason": answer.finish_reason, "text": answer.text}
        counts = {name: usage[name] for name in ("prompt_tokens", "completion_tokens")}
        return {"choices": [choice], "usage": counts}
    if speaks_openai(call.model):
        return _openai_like(call, answer) | {
            "usage": priced_usage(call.price, request.input_tokens, answer.output_tokens),
        }
    if answers_in_both_shapes(call.model):
        return _both_shapes(call, request, answer) | {"usage": usage}
    return {"response": _response(request, answer), "tool_calls": [], "usage": usage}


def _openai_like(call: ModelCall, answer: Answer) -> JsonObject:
    message: JsonObject = {"role": "assistant", "content": answer.text}
    choice: JsonObject = {
        "index": 0,
        "finish_reason": answer.finish_reason,
        "logprobs": None,
        "message": message,
    }
    return {
        "id": call.request_id,
        "object": "chat.completion",
        "created": call.created,
        "model": reported_model(call.model),
        "choices": [choice],
    }


def _both_shapes(call: ModelCall, request: ChatRequest, answer: Answer) -> JsonObject:
    message: JsonObject = {"role": "assistant", "content": answer.text}
    choice: JsonObject = {"index": 0, "message": message}
    return {
        "choices": [choice],
        "model": reported_model(call.model),
        "object": "chat.completion",
        "response": _response(request, answer),
    }


def _response(request: ChatRequest, answer: Answer) -> object:
    """Return the native `response`: text, or in JSON mode the object itself."""
    if request.response_format is None:
        return answer.text
    return decode_object(answer.text.encode()) or answer.text
