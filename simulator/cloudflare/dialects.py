"""Cloudflare's result shapes and its two streaming dialects.

Which one a model speaks is a fact about the model: llama and its like answer natively, gemma, glm,
qwen, gpt-oss and kimi like OpenAI, and some llamas answer in both shapes at once.
Invariant: usage is what the bill says; the native dialect never names neurons.
"""

from dataclasses import dataclass

import orjson

from simulator.answers import Answer
from simulator.bill import Charge
from simulator.json_values import JsonObject
from simulator.prices import Price

_OPENAI_LIKE = ("gemma", "glm", "qwen", "qwq", "gpt-oss", "kimi")
_BOTH_SHAPES = ("llama-3.1-8b-instruct-fast", "llama-3.1-8b-instruct-fp8-fast", "llama-4-scout")
_DONE = b"data: [DONE]\n\n"
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


@dataclass(frozen=True, slots=True)
class OpenaiLikeStream:
    """Chunks whose usage is an increment, then a cumulative one without `choices`."""

    id: str
    created: int
    price: Price
    input_tokens: int

    def opening(self) -> bytes:
        """Return the chunk with the role, which carries the prompt's usage."""
        delta: JsonObject = {"role": "assistant", "content": "", "reasoning_content": None}
        return self._chunk([_choice(delta, None)], self.input_tokens, 0)

    def token(self, piece: str) -> bytes:
        """Return the chunk of one token."""
        delta: JsonObject = {"content": piece, "reasoning_content": None}
        return self._chunk([_choice(delta, None)], 0, 1)

    def closing(self, answer: Answer, charge: Charge) -> bytes:
        """Return the finish, a chunk without choices, the cumulative usage and the terminator."""
        finish = self._chunk([_choice({"reasoning_content": None}, answer.finish_reason)], 0, 0)
        rest = self._chunk([], 0, answer.hidden_tokens)
        usage = priced_usage(self.price, charge.input_tokens, answer.output_tokens)
        last = orjson.dumps({"response": "", "usage": usage})
        return finish + rest + b"data: " + last + b"\n\n" + _DONE

    def _chunk(self, choices: list[JsonObject], input_tokens: int, output_tokens: int) -> bytes:
        chunk = {
            "id": self.id,
            "object": "chat.completion.chunk",
            "created": self.created,
            "model": reported_model(self.price.model),
            "choices": choices,
            "p": "pad",
            "usage": priced_usage(self.price, input_tokens, output_tokens),
        }
        return b"data: " + orjson.dumps(chunk) + b"\n\n"


def _choice(delta: JsonObject, finish_reason: str | None) -> JsonObject:
    return {
        "index": 0,
        "delta": delta,
        "finish_reason": finish_reason,
        "logprobs": None,
        "matched_stop": None,
    }
