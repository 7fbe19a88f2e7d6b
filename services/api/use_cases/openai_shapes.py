"""A job's frames in the words of OpenAI's API.

Invariant: a stream's pieces put together are the whole answer, and its last chunk says what it
cost.
"""

from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import orjson
from pydantic import JsonValue

from services.api.use_cases.refusals import RefusalCode
from shared.domain.money import decimal_string
from shared.messages.frames import (
    Frame,
    JobCancelled,
    JobCompleted,
    JobDelta,
    JobExpired,
    JobFailed,
)

DONE = b"data: [DONE]\n\n"
_NOTHING: Mapping[str, object] = {}


@dataclass(frozen=True, slots=True)
class Answering:
    """A chat job on its way to a client of OpenAI's API.

    Attributes:
        created: When the job was accepted, in seconds since 1970.
        model: As it was asked for.
        includes_usage: Whether a stream ends with a chunk of usage.
    """

    job_id: str
    created: int
    model: str
    includes_usage: bool = False

    def whole(self, frame: JobCompleted) -> bytes:
        """Return the completion."""
        choice = {
            "index": 0,
            "message": {**_message(frame), "refusal": None},
            "logprobs": None,
            "finish_reason": _finish_reason(frame),
        }
        body = self._head("chat.completion", frame.model)
        return orjson.dumps({**body, "choices": [choice], "usage": _usage(frame)})

    def opening(self) -> bytes:
        """Return a stream's first chunk."""
        return self._chunk(self.model, [_choice({"role": "assistant", "content": ""})])

    def piece(self, frame: JobDelta) -> bytes:
        """Return a chunk of text."""
        return self._chunk(self.model, [_choice({"content": frame.text})])

    def ending(self, frame: JobCompleted) -> bytes:
        """Return the chunks after the text: tool calls, the finish, usage, and the terminator."""
        return b"".join(self._last_chunks(frame)) + DONE

    def _last_chunks(self, frame: JobCompleted) -> Iterator[bytes]:
        calls = _message(frame).get("tool_calls")
        if isinstance(calls, list):
            indexed = [{"index": number, **_fields(call)} for number, call in enumerate(calls)]
            yield self._chunk(frame.model, [_choice({"tool_calls": indexed})])
        finish, about = [_choice({}, _finish_reason(frame))], {"sluiceway": _about(frame)}
        if self.includes_usage:
            yield self._chunk(frame.model, finish)
            yield self._chunk(frame.model, [], {**about, "usage": _usage(frame)})
        else:
            yield self._chunk(frame.model, finish, about)

    def _chunk(
        self, model: str, choices: Sequence[object], more: Mapping[str, object] = _NOTHING
    ) -> bytes:
        usage: Mapping[str, object] = {"usage": None} if self.includes_usage else {}
        body = {**self._head("chat.completion.chunk", model), "choices": choices, **usage, **more}
        return b"data: " + orjson.dumps(body) + b"\n\n"

    def _head(self, kind: str, model: str) -> Mapping[str, object]:
        return {
            "id": f"chatcmpl-{self.job_id}",
            "object": kind,
            "created": self.created,
            "model": model,
        }


def about_headers(frame: JobCompleted) -> dict[str, str]:
    """Return the headers that say who answered and what it cost."""
    return {
        "x-sluiceway-job-id": frame.job_id,
        "x-sluiceway-provider": frame.provider,
        "x-sluiceway-cost-usd": decimal_string(frame.cost_usd),
    }


def embeddings_body(frame: JobCompleted, vectors: Mapping[int, bytes], *, as_base64: bool) -> bytes:
    """Return vectors, little-endian float32 each, in the order of their texts."""
    written = _as_base64 if as_base64 else _as_numbers
    data = [
        {"object": "embedding", "index": position, "embedding": written(vectors[position])}
        for position in sorted(vectors)
    ]
    tokens = frame.usage.input_tokens
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    body = {"object": "list", "data": data, "model": frame.model, "usage": usage}
    return orjson.dumps(body, option=orjson.OPT_SERIALIZE_NUMPY)


def error_body(job_id: str, frame: Frame | None) -> bytes:
    """Return the error of a job that ended without a result; empty while it goes on.

    Args:
        job_id: Whose.
        frame: Its last one; None when this server does not bring the answer to its end.
    """
    match frame:
        case None:
            message = f"job {job_id} goes on, but this server stops: read it at /v1/jobs/{job_id}"
            return _error("unavailable_error", RefusalCode.UNAVAILABLE, message)
        case JobFailed(error=error):
            return _error("provider_error", error.code, f"job {job_id}: {error.message}")
        case JobExpired():
            return _error("timeout_error", "expired", f"job {job_id}: its deadline has passed")
        case JobCancelled():
            return _error("conflict_error", "cancelled", f"job {job_id} was cancelled")
        case _:
            return b""


def _error(kind: str, code: str, message: str) -> bytes:
    return orjson.dumps({"error": {"message": message, "type": kind, "code": code, "param": None}})


def _as_base64(vector: bytes) -> object:
    return b64encode(vector).decode()


def _as_numbers(vector: bytes) -> object:
    return np.frombuffer(vector, dtype="<f4")


def _choice(delta: object, finish_reason: object = None) -> object:
    return {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}


def _usage(frame: JobCompleted) -> object:
    usage = frame.usage
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
    }


def _about(frame: JobCompleted) -> object:
    cost_usd = decimal_string(frame.cost_usd)
    return {"job_id": frame.job_id, "provider": frame.provider, "cost_usd": cost_usd}


def _message(frame: JobCompleted) -> Mapping[str, JsonValue]:
    return _fields(_fields(frame.result).get("message"))


def _finish_reason(frame: JobCompleted) -> JsonValue:
    return _fields(frame.result).get("finish_reason")


def _fields(value: JsonValue) -> Mapping[str, JsonValue]:
    return value if isinstance(value, dict) else {}
