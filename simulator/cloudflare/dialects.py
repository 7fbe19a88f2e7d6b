"""Cloudflare's result shapes and its two streaming dialects.

Which one a model speaks is a fact about the model: llama and its like answer natively, gemma, glm,
qwen, gpt-oss and kimi like OpenAI, and some llamas answer in both shapes at once.
Invariant: usage is what the bill says; the native dialect never names neurons.
"""

import orjson

from simulator.answers import Answer
from simulator.bill import Charge
from simulator.json_values import JsonObject
from simulator.prices import Price

_OPENAI_LIKE = ("gemma", "glm", "qwen", "qwq", "gpt-oss", "kimi")
_BOTH_SHAPES = ("llama-3.1-8b-instruct-fast", "llama-3.1-8b-instruct-fp8-fast", "llama-4-scout")
_DONE = b"data: [DONE]\n\n"
_AFTER_TOKEN = (
    b',"reasoning_content":null},"finish_reason":null,"logprobs":null,"matched_stop":null}]'
)
_PADDING = "abcdefghijklmnop"


def speaks_openai(model: str) -> bool:
    """Tell whether a model answers in the OpenAI-like shape."""
    return any(family in model for family in _OPENAI_LIKE)


def answers_in_both_shapes(model: str) -> bool:
    """Tell whether a model's whole answers carry `choices` and `response`."""
    return any(name in model for name in _BOTH_SHAPES)


def reported_model(model: str) -> str:
    """Return the id a reply names, which differs from the requested one for some models."""
    if "gemma-4" in model:
        return f"{model}-external"
    return "@cf/meta/llama-3.1-8b-fast-v2" if "llama-3.1-8b" in model else model


def token_usage(input_tokens: int, output_tokens: int) -> JsonObject:
    """Return the usage object without neurons."""
    return {
        "prompt_tokens": input_tokens,
        "completion_tokens": output_tokens,
        "total_tokens": input_tokens + output_tokens,
        "prompt_tokens_details": {"cached_tokens": 0},
    }


def priced_usage(price: Price, input_tokens: int, output_tokens: int) -> JsonObject:
    """Return the usage object with neurons."""
    neurons = price.neurons(input_tokens, output_tokens)
    return token_usage(input_tokens, output_tokens) | {"neurons": float(neurons or 0)}


class NativeStream:
    """`response` chunks, then one with usage."""

    def opening(self) -> bytes:
        """Return the events before the first token: none."""
        return b""

    def token(self, piece: str) -> bytes:
        """Return the event of one token."""
        padding = _PADDING[len(piece) :]
        return b"data: " + orjson.dumps({"response": piece, "p": padding}) + b"\n\n"

    def closing(self, answer: Answer, charge: Charge) -> bytes:
        """Return an empty chunk, the usage and the terminator."""
        usage = token_usage(charge.input_tokens, answer.output_tokens)
        last = orjson.dumps({"response": "", "usage": usage})
        return b'data: {"response":""}\n\ndata: ' + last + b"\n\n" + _DONE


class OpenaiLikeStream:
    """Chunks whose usage is an increment, then a cumulative one without `choices`."""

    def __init__(self, stream_id: str, created: int, price: Price, input_tokens: int) -> None:
        shared = {
            "id": stream_id,
            "object": "chat.completion.chunk",
            "created": created,
            "model": reported_model(price.model),
        }
        self._price = price
        self._input_tokens = input_tokens
        self._head = b"data: " + orjson.dumps(shared)[:-1] + b',"choices":'
        self._token_head = self._head + b'[{"index":0,"delta":{"content":'
        self._token_tail = _AFTER_TOKEN + self._tail(0, 1)

    def opening(self) -> bytes:
        """Return the chunk with the role, which carries the prompt's usage."""
        delta: JsonObject = {"role": "assistant", "content": "", "reasoning_content": None}
        return self._head + orjson.dumps([_choice(delta, None)]) + self._tail(self._input_tokens, 0)

    def token(self, piece: str) -> bytes:
        """Return the chunk of one token."""
        return self._token_head + orjson.dumps(piece) + self._token_tail

    def closing(self, answer: Answer, charge: Charge) -> bytes:
        """Return the finish, a chunk without choices, the cumulative usage and the terminator."""
        finish = orjson.dumps([_choice({"reasoning_content": None}, answer.finish_reason)])
        usage = priced_usage(self._price, charge.input_tokens, answer.output_tokens)
        events = [
            self._head + finish + self._tail(0, 0),
            self._head + b"[]" + self._tail(0, answer.hidden_tokens),
            b"data: " + orjson.dumps({"response": "", "usage": usage}) + b"\n\n",
        ]
        return b"".join(events) + _DONE

    def _tail(self, input_tokens: int, output_tokens: int) -> bytes:
        usage = priced_usage(self._price, input_tokens, output_tokens)
        return b',"p":"pad","usage":' + orjson.dumps(usage) + b"}\n\n"


def _choice(delta: JsonObject, finish_reason: str | None) -> JsonObject:
    return {
        "index": 0,
        "delta": delta,
        "finish_reason": finish_reason,
        "logprobs": None,
        "matched_stop": None,
    }
