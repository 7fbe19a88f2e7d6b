"""Tool calls out of what providers send: whole or in pieces, flat or in OpenAI's nesting.

Invariant: each call has an id, a name and arguments, though its provider left out its id or its
arguments; a call without a name is malformed.
"""

from dataclasses import dataclass, field

from shared.domain.ids import AttemptId
from shared.domain.provider_calls import ToolCall
from shared.providers.json_reading import (
    JsonObject,
    MalformedAnswerError,
    is_array,
    is_object,
    object_at,
    text_of,
)

_NO_ARGUMENTS = "{}"


@dataclass(slots=True)
class _Growing:
    id: str = ""
    name: str = ""
    arguments: list[str] = field(default_factory=list[str])


@dataclass(slots=True)
class GrowingToolCalls:
    """The tool calls of one answer as far as they have come."""

    attempt_id: AttemptId
    _calls: list[_Growing] = field(default_factory=list[_Growing])
    _by_index: dict[int, _Growing] = field(default_factory=dict[int, _Growing])

    def add(self, pieces: object) -> bool:
        """Take the `tool_calls` of a message or a delta; tell whether there were any."""
        objects = [piece for piece in pieces if is_object(piece)] if is_array(pieces) else []
        for piece in objects:
            function = object_at(piece, "function") or piece
            call = self._of(piece, function)
            call.id = call.id or text_of(piece.get("id"))
            call.name = call.name or text_of(function.get("name"))
            call.arguments.append(text_of(function.get("arguments")))
        return bool(objects)

    def whole(self) -> tuple[ToolCall, ...]:
        """Return the calls in the order in which they began.

        Raises:
            MalformedAnswerError: A call has no name.
        """
        return tuple(self._finished(number, call) for number, call in enumerate(self._calls))

    def _of(self, piece: JsonObject, function: JsonObject) -> _Growing:
        """Return the call that a piece belongs to; some servers number every call 0."""
        call_id, index = text_of(piece.get("id")), piece.get("index")
        known = self._by_index.get(index) if isinstance(index, int) else None
        if known is not None and (not call_id or known.id in {"", call_id}):
            return known
        if known is None and self._calls and not call_id and not function.get("name"):
            return self._calls[-1]
        call = _Growing()
        self._calls.append(call)
        if isinstance(index, int):
            self._by_index[index] = call
        return call

    def _finished(self, number: int, call: _Growing) -> ToolCall:
        if not call.name:
            raise MalformedAnswerError("a tool call has no name")
        call_id = call.id or f"call_{self.attempt_id}_{number}"
        return ToolCall(call_id, call.name, "".join(call.arguments) or _NO_ARGUMENTS)
