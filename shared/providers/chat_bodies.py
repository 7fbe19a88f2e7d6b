"""The parts of a chat request that both APIs write alike, in OpenAI's shapes.

Invariant: what the caller left out stays out, so that a server sees nothing it may not know.
"""

from collections.abc import Sequence

from shared.domain.provider_calls import (
    AnswerSchema,
    ChatMessage,
    NamedTool,
    Tool,
    ToolCall,
    ToolMode,
)
from shared.providers.json_reading import JsonObject


def message_body(message: ChatMessage, *, no_text: str | None) -> JsonObject:
    """Return a message; `no_text` stands for the text of one that only calls tools."""
    body: dict[str, object] = {"role": message.role, "content": _content(message, no_text)}
    if message.tool_calls:
        body["tool_calls"] = [_tool_call(call) for call in message.tool_calls]
    if message.tool_call_id is not None:
        body["tool_call_id"] = message.tool_call_id
    return body


def tools_body(tools: Sequence[Tool]) -> list[JsonObject]:
    """Return the functions that the model may ask for."""
    return [{"type": "function", "function": _function(tool)} for tool in tools]


def tool_choice_body(choice: ToolMode | NamedTool) -> str | JsonObject:
    """Return which function the model must call, if any."""
    if isinstance(choice, NamedTool):
        return {"type": "function", "function": {"name": choice.name}}
    return str(choice)


def json_schema_body(answer: AnswerSchema) -> JsonObject:
    """Return what the JSON of an answer must look like."""
    optional = {"description": answer.description, "strict": answer.strict}
    schema = {"name": answer.name, "schema": answer.schema, **present(optional)}
    return {"type": "json_schema", "json_schema": schema}


def present(members: JsonObject) -> dict[str, object]:
    """Return the members that have a value."""
    return {name: value for name, value in members.items() if value is not None}


def _content(message: ChatMessage, no_text: str | None) -> object:
    if isinstance(message.content, str):
        return message.content or (no_text if message.tool_calls else "")
    return [{"type": "text", "text": text} for text in message.content]


def _tool_call(call: ToolCall) -> JsonObject:
    function = {"name": call.name, "arguments": call.arguments}
    return {"id": call.id, "type": "function", "function": function}


def _function(tool: Tool) -> JsonObject:
    optional = {
        "description": tool.description,
        "parameters": tool.parameters,
        "strict": tool.strict,
    }
    return {"name": tool.name, **present(optional)}
