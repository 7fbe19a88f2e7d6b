"""A stored chat request as a provider is asked, and a provider's answer as it is stored."""

from pydantic import JsonValue

from shared.domain.ids import AttemptId
from shared.domain.provider_calls import (
    AnswerSchema,
    ChatCall,
    ChatFinished,
    ChatMessage,
    JsonAnswer,
    NamedTool,
    Tool,
    ToolCall,
    ToolMode,
)
from shared.domain.routes import Candidate
from shared.messages.requests import (
    ChatRequest,
    ChatTurn,
    FormatRequest,
    FunctionRequest,
    NamedToolRequest,
)

_NUL, _REPLACEMENT = "\0", "\ufffd"
"""PostgreSQL takes no NUL in JSON."""


def chat_call(candidate: Candidate, request: ChatRequest, attempt_id: AttemptId) -> ChatCall:
    """Return the call of one attempt."""
    return ChatCall(
        attempt_id=attempt_id,
        model=candidate.model,
        messages=[_message(turn) for turn in request.messages],
        max_output_tokens=request.max_tokens,
        temperature=request.temperature,
        options=candidate.options,
        tools=[_tool(tool.function) for tool in request.tools],
        tool_choice=_tool_choice(request),
        response_format=_answer_format(request.response_format),
    )


def wants_json(request: ChatRequest) -> bool:
    """Tell whether the answer must be JSON, so that a provider may send it in one piece."""
    return _answer_format(request.response_format) is not None


def chat_result(text: str, finished: ChatFinished) -> dict[str, JsonValue]:
    """Return a chat job's result: its text, what it wants called, and why it ended."""
    message: dict[str, JsonValue] = {"role": "assistant", "content": text}
    if finished.tool_calls:
        message["tool_calls"] = [_tool_call(call) for call in finished.tool_calls]
    return {"message": message, "finish_reason": finished.finish_reason}


def _message(turn: ChatTurn) -> ChatMessage:
    content = turn.content
    return ChatMessage(
        role=turn.role,
        content=content if isinstance(content, str) else tuple(part.text for part in content),
        tool_calls=tuple(
            ToolCall(call.id, call.function.name, call.function.arguments)
            for call in turn.tool_calls
        ),
        tool_call_id=turn.tool_call_id,
    )


def _tool(function: FunctionRequest) -> Tool:
    return Tool(function.name, function.description, function.parameters, function.strict)


def _tool_choice(request: ChatRequest) -> ToolMode | NamedTool | None:
    choice = request.tool_choice
    if isinstance(choice, NamedToolRequest):
        return NamedTool(choice.function.name)
    return None if choice is None else ToolMode(choice)


def _answer_format(wanted: FormatRequest | None) -> JsonAnswer | None:
    if wanted is None or wanted.type == "text":
        return None
    schema = wanted.json_schema
    if schema is None:
        return JsonAnswer()
    return JsonAnswer(AnswerSchema(schema.name, schema.schema_, schema.description, schema.strict))


def _tool_call(call: ToolCall) -> JsonValue:
    name, arguments = _storable(call.name), _storable(call.arguments)
    function: JsonValue = {"name": name, "arguments": arguments}
    return {"id": _storable(call.id), "type": "function", "function": function}


def _storable(text: str) -> str:
    return text.replace(_NUL, _REPLACEMENT)
