"""The part of a chat request that both providers share.

Invariant: only what passed these checks reaches an answer; everything else is an
`InvalidRequestError`.
"""

from dataclasses import dataclass

from simulator.answers import Answer, compose, think, think_only
from simulator.behaviour import Mode
from simulator.json_values import JsonObject, is_array, is_integer, is_object
from simulator.refusal import InvalidRequestError
from simulator.tokens import count_message_tokens
from simulator.tools import Tool, choose_tool

_THOUGHT_TOKENS = 256


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """What is asked, and in what form."""

    prompt: str
    input_tokens: int
    max_tokens: int | None
    streamed: bool
    response_format: JsonObject | None
    tool: Tool | None

    def answer(self, mode: Mode, *, thinks: bool) -> Answer:
        """Return the model's answer."""
        if mode is Mode.EMPTY:
            return think_only(self.max_tokens or _THOUGHT_TOKENS)
        thoughts = think(self.prompt) if thinks else None
        return compose(
            self.prompt,
            self.max_tokens,
            self.response_format,
            thoughts=thoughts,
            tool=self.tool,
        )


def read_chat(body: JsonObject, default_max_tokens: int | None = None) -> ChatRequest:
    """Read a chat request; `prompt` stands for a single message of the user.

    Raises:
        InvalidRequestError: it cannot be read.
    """
    prompt = body.get("prompt")
    read = [("user", prompt)] if isinstance(prompt, str) else _read_messages(body)
    last_role, last = read[-1]
    tool = None
    if body.get("tools"):
        tool = choose_tool(body, last if last_role == "user" else "")
    wanted = body.get("response_format")
    is_json = is_object(wanted) and wanted.get("type") in {"json_object", "json_schema"}
    return ChatRequest(
        prompt=_last_of_user(read),
        input_tokens=count_message_tokens([content for _, content in read]),
        max_tokens=_max_tokens(body) or default_max_tokens,
        streamed=body.get("stream") is True,
        response_format=wanted if is_object(wanted) and is_json else None,
        tool=tool,
    )


def _read_messages(body: JsonObject) -> list[tuple[str, str]]:
    """Return every message's role and text."""
    messages = body.get("messages")
    if not is_array(messages) or not messages:
        raise InvalidRequestError("messages must be a non-empty array", "messages")
    return [_read_message(message) for message in messages]


def _last_of_user(read: list[tuple[str, str]]) -> str:
    """Return the user's last message, else the last one."""
    return next((content for role, content in reversed(read) if role == "user"), read[-1][1])


def _read_message(message: object) -> tuple[str, str]:
    if not is_object(message) or not isinstance(role := message.get("role"), str):
        raise InvalidRequestError("each message must be an object with a role", "messages")
    content = message.get("content")
    if content is None and message.get("tool_calls"):
        return role, ""
    if isinstance(content, str):
        return role, content
    if is_array(content):
        return role, " ".join(_part_text(part) for part in content)
    raise InvalidRequestError("message content must be a string or an array of parts", "messages")


def _part_text(part: object) -> str:
    if not is_object(part):
        raise InvalidRequestError("a part of a message must be an object", "messages")
    text = part.get("text", "")
    return text if isinstance(text, str) else ""


def _max_tokens(body: JsonObject) -> int | None:
    for name in ("max_completion_tokens", "max_tokens"):
        value = body.get(name)
        if value is None:
            continue
        if not is_integer(value) or value < 1:
            raise InvalidRequestError(f"{name} must be a positive integer", name)
        return value
    return None
