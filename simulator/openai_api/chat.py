"""OpenAI chat completions, whole or streamed.

Invariant: usage is what the bill says; an interrupted stream has no usage chunk.
"""

from simulator.answers import Answer
from simulator.behaviour import Mode
from simulator.chat_request import ChatRequest, read_chat
from simulator.exchange import Exchange
from simulator.json_values import JsonObject, is_object
from simulator.openai_api import errors
from simulator.openai_api.chat_stream import ChatStream, StreamOptions
from simulator.openai_api.tool_calls import called_tool
from simulator.refusal import InvalidRequestError
from simulator.sending import compute, keep_silent, send_whole
from simulator.simulation import ModelCall
from simulator.streaming import stream_answer

# Reasoning is on by default there (LiteLLM metadata, 2026-11).
_THINKING = frozenset({"gpt-6-luna"})


async def run_chat(exchange: Exchange, call: ModelCall, body: JsonObject) -> None:
    """Answer one chat completion."""
    if "messages" not in body:
        raise InvalidRequestError("Missing required parameter: 'messages'.", "messages")
    request = read_chat(body)
    _check(request, call)
    mode = call.conduct.mode
    if mode is Mode.SILENT:
        await keep_silent(exchange, streamed=request.streamed)
        return
    charge = call.charge(request.input_tokens)
    answer = request.answer(mode, thinks=_thinks(call.model, body))
    if request.streamed:
        stream = _stream(call, body, answer)
        await stream_answer(exchange, stream, answer, charge, call.conduct)
        return
    await compute(answer, charge, call.conduct)
    await send_whole(exchange, _completion(call, request, answer), call.conduct)


def _thinks(model: str, body: JsonObject) -> bool:
    """Tell whether a model thinks about a request first: by default, unless it is told not to."""
    return model in _THINKING and body.get("reasoning_effort") != "none"


def _check(request: ChatRequest, call: ModelCall) -> None:
    window = call.price.context_tokens
    wanted = request.input_tokens + (request.max_tokens or 0)
    if window is not None and wanted > window:
        raise errors.over_window(wanted, window)


def _stream(call: ModelCall, body: JsonObject, answer: Answer) -> ChatStream:
    options = body.get("stream_options")
    settings = options if is_object(options) else {}
    return ChatStream(
        completion_id=_completion_id(call),
        created=call.created,
        model=call.model,
        answer=answer,
        options=StreamOptions(
            includes_usage=settings.get("include_usage") is True,
            is_obfuscated=settings.get("include_obfuscation") is not False,
        ),
    )


def _completion(call: ModelCall, request: ChatRequest, answer: Answer) -> JsonObject:
    message: JsonObject = {
        "role": "assistant",
        "content": None if answer.tool else answer.text,
        "refusal": None,
        "annotations": [],
    }
    if answer.tool:
        message["tool_calls"] = [called_tool(answer, answer.arguments)]
    choice: JsonObject = {
        "index": 0,
        "message": message,
        "logprobs": None,
        "finish_reason": answer.finish_reason,
    }
    return {
        "id": _completion_id(call),
        "object": "chat.completion",
        "created": call.created,
        "model": call.model,
        "choices": [choice],
        "usage": _usage(request, answer),
        "service_tier": "default",
        "system_fingerprint": "fp_simulator",
    }


def _usage(request: ChatRequest, answer: Answer) -> JsonObject:
    return {
        "prompt_tokens": request.input_tokens,
        "completion_tokens": answer.output_tokens,
        "total_tokens": request.input_tokens + answer.output_tokens,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": len(answer.thoughts),
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def _completion_id(call: ModelCall) -> str:
    return "chatcmpl-" + call.request_id.removeprefix("req_")
