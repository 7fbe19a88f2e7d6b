"""OpenAI's streaming dialect.

Invariant: all chunks of a stream share everything but their choices, so that part is encoded once.
"""

from collections.abc import Sequence

import orjson

from simulator.answers import Answer
from simulator.bill import Charge
from simulator.json_values import JsonObject

_DONE = b"data: [DONE]\n\n"
_NO_USAGE = b',"usage":null'
_AFTER_TOKEN = b'},"logprobs":null,"finish_reason":null}]'
_WIDEST = 8
_PADDING = "k3J9xQ2mLw7RtVb5"


class ChatStream:
    """Writes the chunks of one completion."""

    def __init__(
        self,
        *,
        completion_id: str,
        created: int,
        model: str,
        includes_usage: bool,
        is_obfuscated: bool,
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
        self._includes_usage = includes_usage
        self._no_usage = _NO_USAGE if includes_usage else b""
        self._is_obfuscated = is_obfuscated
        self._token_head = self._head + b'[{"index":0,"delta":{"content":'
        self._token_tails = [self._tail(_AFTER_TOKEN + self._no_usage, n) for n in range(_WIDEST)]

    def opening(self) -> bytes:
        """Return the chunk with the role."""
        return self._chunk([_choice({"role": "assistant", "content": "", "refusal": None}, None)])

    def token(self, piece: str) -> bytes:
        """Return the chunk of one token."""
        tail = self._token_tails[min(len(piece), _WIDEST - 1)]
        return self._token_head + orjson.dumps(piece) + tail

    def closing(self, answer: Answer, charge: Charge) -> bytes:
        """Return the finish, the usage if it was asked for, and the terminator."""
        finish = self._chunk([_choice({}, answer.finish_reason)])
        if not self._includes_usage:
            return finish + _DONE
        usage = {
            "prompt_tokens": charge.input_tokens,
            "completion_tokens": answer.output_tokens,
            "total_tokens": charge.input_tokens + answer.output_tokens,
            "prompt_tokens_details": {"cached_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": answer.hidden_tokens},
        }
        return finish + self._event([], b',"usage":' + orjson.dumps(usage)) + _DONE

    def _chunk(self, choices: Sequence[JsonObject]) -> bytes:
        return self._event(choices, self._no_usage)

    def _event(self, choices: Sequence[JsonObject], usage: bytes) -> bytes:
        return self._head + orjson.dumps(choices) + self._tail(usage, 0)

    def _tail(self, before: bytes, visible_characters: int) -> bytes:
        if not self._is_obfuscated:
            return before + b"}\n\n"
        padding = _PADDING[visible_characters:].encode()
        return before + b',"obfuscation":"' + padding + b'"}\n\n'


def _choice(delta: JsonObject, finish_reason: str | None) -> JsonObject:
    return {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
