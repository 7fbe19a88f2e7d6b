"""The shapes of Cloudflare's whole chat answers (captures of 2026-09 and 2026-10)."""

from simulator.answers import Answer
from simulator.chat_request import ChatRequest
from simulator.cloudflare.dialects import priced_usage, token_usage
from simulator.cloudflare.models import (
    answers_in_both_shapes,
    reasoning_field,
    reported_model,
    speaks_openai,
)
from simulator.cloudflare.tool_calls import flat_call, openai_call
from simulator.json_values import JsonObject, decode_object
from simulator.simulation import ModelCall


def chat_result(
    call: ModelCall, request: ChatRequest, answer: Answer, *, is_prompt: bool
) -> JsonObject:
    """Return a chat answer in the shape of its model, or of prompt mode."""
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
    return {
        "response": _response(request, answer),
        "tool_calls": flat_call(answer),
        "usage": usage,
    }


def _openai_like(call: ModelCall, answer: Answer) -> JsonObject:
    message = _message(answer)
    if answer.thoughts:
        message[reasoning_field(call.model)] = "".join(answer.thoughts)
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
    choice: JsonObject = {"index": 0, "message": _message(answer)}
    return {
        "choices": [choice],
        "model": reported_model(call.model),
        "object": "chat.completion",
        "response": _response(request, answer),
    }


def _message(answer: Answer) -> JsonObject:
    if answer.tool:
        return {"role": "assistant", "content": None, "tool_calls": [openai_call(answer)]}
    return {"role": "assistant", "content": answer.text}


def _response(request: ChatRequest, answer: Answer) -> object:
    """Return the native `response`: text, in JSON mode the object itself, null beside a tool."""
    if answer.tool:
        return None
    if request.response_format is None:
        return answer.text
    return decode_object(answer.text.encode()) or answer.text
