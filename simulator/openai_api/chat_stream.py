"""OpenAI's streaming dialect.

Invariant: all chunks of a stream share everything but their choices, so that part is encoded once.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import orjson

from simulator.answers import Answer
from simulator.bill import Charge
from simulator.json_values import JsonObject
from simulator.openai_api.known_errors import KNOWN_ERRORS
from simulator.openai_api.tool_calls import called_tool

_DONE = b"data: [DONE]\n\n"
_NO_USAGE = b',"usage":null'
_DELTA = b'[{"index":0,"delta":{'
_CONTENT = b'"content":'
_ARGUMENTS = b'"tool_calls":[{"index":0,"function":{"arguments":'
_AFTER_TOKEN = b'},"logprobs":null,"finish_reason":null}]'
_WIDEST = 8
_PADDING = "k3J9xQ2mLw7RtVb5"


@dataclass(frozen=True, slots=True)
class StreamOptions:
    """What a client may ask of a stream."""

    includes_usage: bool
    is_obfuscated: bool


class ChatStream:
    """Writes the chunks of one completion."""

    def __init__(
        self,
        *,
        completion_id: str,
        created: int,
        model: str,
        answer: Answer,
        options: StreamOptions,
    ) -> None:
        shared = {
            "id": completion_id,
            "object": "chat.completion.chunk",
            "created": created,
            "model": model,
            "service_tier": "default",
            "system_fingerprint": None,
        }
        self._head = b"data: " + orjson.dumps(shared)[:-1] + b',"choices":'
        self._answer = answer
        self._options = options
        self._no_usage = _NO_USAGE if options.includes_usage else b""
        delta, after = (_ARGUMENTS, b"}}]") if answer.tool else (_CONTENT, b"")
        self._token_head = self._head + _DELTA + delta
        after += _AFTER_TOKEN + self._no_usage
        self._token_tails = [self._tail(after, n) for n in range(_WIDEST)]

    def opening(self) -> bytes:
        """Return the chunk with the role."""
        delta: JsonObject = {"role": "assistant", "content": "", "refusal": None}
        if self._answer.tool:
            call = {"index": 0} | called_tool(self._answer, "")
            delta |= {"content": None, "tool_calls": [call]}
        return self._chunk([_choice(delta, None)])

    def thought(self, piece: str) -> bytes:
        """Return nothing: thoughts are not shown."""
        del piece
        return b""

    def token(self, piece: str) -> bytes:
        """Return the chunk of one token."""
        tail = self._token_tails[min(len(piece), _WIDEST - 1)]
        return self._token_head + orjson.dumps(piece) + tail

    def failure(self, error: str | None) -> bytes:
        """Return the event of an error in the middle; by default the server failed."""
        failed = KNOWN_ERRORS[error or "500"].in_stream()
        return b"data: " + orjson.dumps(failed) + b"\n\n"

    def closing(self, answer: Answer, charge: Charge) -> bytes:
        """Return the finish, the usage if it was asked for, and the terminator."""
        finish = self._chunk([_choice({}, answer.finish_reason)])
        if not self._options.includes_usage:
            return finish + _DONE
        usage = {
            "prompt_tokens": charge.input_tokens,
            "completion_tokens": answer.output_tokens,
            "total_tokens": charge.input_tokens + answer.output_tokens,
            "prompt_tokens_details": {"cached_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": len(answer.thoughts)},
        }
        return finish + self._event([], b',"usage":' + orjson.dumps(usage)) + _DONE

    def _chunk(self, choices: Sequence[JsonObject]) -> bytes:
        return self._event(choices, self._no_usage)

    def _event(self, choices: Sequence[JsonObject], usage: bytes) -> bytes:
        return self._head + orjson.dumps(choices) + self._tail(usage, 0)

    def _tail(self, before: bytes, visible_characters: int) -> bytes:
        if not self._options.is_obfuscated:
            return before + b"}\n\n"
        padding = _PADDING[visible_characters:].encode()
        return before + b',"obfuscation":"' + padding + b'"}\n\n'


def _choice(delta: JsonObject, finish_reason: str | None) -> JsonObject:
    return {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
