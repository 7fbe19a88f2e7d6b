"""Cloudflare's two streaming dialects, and its usage objects.

Invariant: usage is what the bill says; the native dialect never names neurons.
"""

import orjson

from simulator.answers import Answer
from simulator.bill import Charge
from simulator.cloudflare.known_errors import KNOWN_ERRORS
from simulator.cloudflare.models import reasoning_field, reported_model
from simulator.cloudflare.tool_calls import flat_call, openai_call
from simulator.json_values import JsonObject
from simulator.prices import Price

_DONE = b"data: [DONE]\n\n"
_DELTA = b'[{"index":0,"delta":{'
_CONTENT = b'"content":'
_ARGUMENTS = b'"tool_calls":[{"index":0,"function":{"arguments":'
_AFTER_TOKEN = (
    b',"reasoning_content":null},"finish_reason":null,"logprobs":null,"matched_stop":null}]'
)
_PADDING = "abcdefghijklmnop"


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
    """`response` chunks, then one with usage; a tool is called in one chunk."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    def opening(self) -> bytes:
        """Return the events before the first token: none."""
        return b""

    def thought(self, piece: str) -> bytes:
        """Return nothing: thoughts are not shown."""
        del piece
        return b""

    def token(self, piece: str) -> bytes:
        """Return the event of one token."""
        if self._answer.tool:
            return b""
        padding = _PADDING[len(piece) :]
        return b"data: " + orjson.dumps({"response": piece, "p": padding}) + b"\n\n"

    def failure(self, error: str | None) -> bytes:
        """Return the event of an error in the middle."""
        return error_event(error)

    def closing(self, answer: Answer, charge: Charge) -> bytes:
        """Return the tool that is called, an empty chunk, the usage and the terminator."""
        usage = token_usage(charge.input_tokens, answer.output_tokens)
        calls = flat_call(answer)
        called = _event({"response": "", "tool_calls": calls, "p": _PADDING}) if calls else b""
        last = _event({"response": "", "usage": usage})
        return called + b'data: {"response":""}\n\n' + last + _DONE


class OpenaiLikeStream:
    """Chunks whose usage is an increment, then a cumulative one without `choices`."""

    def __init__(
        self, stream_id: str, created: int, price: Price, input_tokens: int, answer: Answer
    ) -> None:
        shared = {
            "id": stream_id,
            "object": "chat.completion.chunk",
            "created": created,
            "model": reported_model(price.model),
        }
        self._price = price
        self._input_tokens = input_tokens
        self._answer = answer
        self._head = b"data: " + orjson.dumps(shared)[:-1] + b',"choices":'
        delta, after = (_ARGUMENTS, b"}}]") if answer.tool else (_CONTENT, b"")
        self._token_head = self._head + _DELTA + delta
        self._token_tail = after + _AFTER_TOKEN + self._tail(0, 1)

    def opening(self) -> bytes:
        """Return the chunk with the role, which carries the prompt's usage."""
        delta: JsonObject = {"role": "assistant", "content": "", "reasoning_content": None}
        if self._answer.tool:
            call = openai_call(self._answer, arguments="")
            delta["tool_calls"] = [{"index": 0} | call]
        return self._head + orjson.dumps([_choice(delta, None)]) + self._tail(self._input_tokens, 0)

    def thought(self, piece: str) -> bytes:
        """Return the chunk of one token that was thought."""
        delta: JsonObject = {reasoning_field(self._price.model): piece}
        return self._head + orjson.dumps([_choice(delta, None)]) + self._tail(0, 1)

    def token(self, piece: str) -> bytes:
        """Return the chunk of one token."""
        return self._token_head + orjson.dumps(piece) + self._token_tail

    def failure(self, error: str | None) -> bytes:
        """Return the event of an error in the middle."""
        return error_event(error)

    def closing(self, answer: Answer, charge: Charge) -> bytes:
        """Return the finish, a chunk without choices, the cumulative usage and the terminator."""
        finish = orjson.dumps([_choice({"reasoning_content": None}, answer.finish_reason)])
        usage = priced_usage(self._price, charge.input_tokens, answer.output_tokens)
        events = [
            self._head + finish + self._tail(0, 0),
            self._head + b"[]" + self._tail(0, 0),
            _event({"response": "", "usage": usage}),
        ]
        return b"".join(events) + _DONE

    def _tail(self, input_tokens: int, output_tokens: int) -> bytes:
        usage = priced_usage(self._price, input_tokens, output_tokens)
        return b',"p":"pad","usage":' + orjson.dumps(usage) + b"}\n\n"


def error_event(error: str | None) -> bytes:
    """Return the event of an error in the middle of a stream; by default capacity ran out."""
    return _event(KNOWN_ERRORS[error or "3040"].in_stream())


def _event(value: JsonObject) -> bytes:
    return b"data: " + orjson.dumps(value) + b"\n\n"


def _choice(delta: JsonObject, finish_reason: str | None) -> JsonObject:
    return {
        "index": 0,
        "delta": delta,
        "finish_reason": finish_reason,
        "logprobs": None,
        "matched_stop": None,
    }
