"""What a chat may ask beyond the shape of its fields, and how many tokens its prompt can have."""

import json
from collections.abc import Iterator

from pydantic import BaseModel

from services.api.schemas.chat import (
    ChatJobBody,
    MessageBody,
    NamedToolBody,
    ToolBody,
)
from services.api.settings import MAX_TOOLS_BYTES
from services.api.use_cases.refusals import invalid
from shared.domain.tokens import chat_upper_bound


def require_sound(request: ChatJobBody) -> None:
    """Make sure that messages, tools and the answer's format fit together.

    Raises:
        RefusedError: They don't; `param` is the path of the field at fault.
    """
    called: set[str] = set()
    for number, message in enumerate(request.messages):
        _require_message(f"messages.{number}", message, called)
        called.update(call.id for call in message.tool_calls or ())
    _require_tools(request.tools or [])
    _require_tool_choice(request)
    _require_format(request)


def prompt_bound(request: ChatJobBody) -> int:
    """Return a count of input tokens that no provider exceeds for the request.

    A chat template may write tools and schemas as JSON with indents and escapes (Llama 3.1's does),
    so they count in that form.
    """
    return chat_upper_bound(_texts(request), has_tools=bool(request.tools))


def _texts(request: ChatJobBody) -> Iterator[str]:
    for message in request.messages:
        yield from _contents(message)
        for call in message.tool_calls or ():
            yield _as_written(call)
    for tool in request.tools or ():
        yield _as_written(tool)
    if request.response_format is not None:
        yield _as_written(request.response_format)


def _contents(message: MessageBody) -> Iterator[str]:
    match message.content:
        case None:
            yield ""
        case str(text):
            yield text
        case parts:
            yield from (part.text for part in parts)


def _as_written(body: BaseModel) -> str:
    return json.dumps(body.model_dump(by_alias=True), indent=4)


def _require_message(place: str, message: MessageBody, called: set[str]) -> None:
    if message.tool_calls is not None and message.role != "assistant":
        raise invalid(f"{place}.tool_calls", "only an assistant's message calls tools")
    if message.content is None and message.tool_calls is None:
        raise invalid(f"{place}.content", "a message needs content, unless it calls tools")
    if message.content == "" and message.role != "tool" and message.tool_calls is None:
        raise invalid(f"{place}.content", "must not be empty")
    if message.role == "tool":
        _require_answer(place, message, called)
    elif message.tool_call_id is not None:
        raise invalid(f"{place}.tool_call_id", "only a tool's message answers a call")


def _require_answer(place: str, message: MessageBody, called: set[str]) -> None:
    if message.tool_call_id is None:
        raise invalid(f"{place}.tool_call_id", "a tool's message names the call that it answers")
    if message.tool_call_id not in called:
        raise invalid(f"{place}.tool_call_id", "no assistant's message before it has this call")


def _require_tools(tools: list[ToolBody]) -> None:
    names: set[str] = set()
    size = 0
    for number, tool in enumerate(tools):
        if tool.function.name in names:
            raise invalid(f"tools.{number}.function.name", "another tool has this name")
        names.add(tool.function.name)
        size += len(tool.model_dump_json())
    if size > MAX_TOOLS_BYTES:
        raise invalid("tools", f"all tools together must not exceed {MAX_TOOLS_BYTES} bytes")


def _require_tool_choice(request: ChatJobBody) -> None:
    choice, tools = request.tool_choice, request.tools or []
    if choice is None:
        return
    if not tools:
        raise invalid("tool_choice", "there are no tools to choose from")
    if isinstance(choice, NamedToolBody) and choice.function.name not in {
        tool.function.name for tool in tools
    }:
        raise invalid("tool_choice.function.name", "no tool has this name")


def _require_format(request: ChatJobBody) -> None:
    wanted = request.response_format
    if wanted is None:
        return
    has_schema, needs_schema = wanted.json_schema is not None, wanted.type == "json_schema"
    if needs_schema and not has_schema:
        raise invalid("response_format.json_schema", "the type json_schema needs one")
    if has_schema and not needs_schema:
        raise invalid("response_format.json_schema", f"the type {wanted.type} takes none")
