"""What a chat job asks, in the shapes of OpenAI's API.

Invariant: sizes and depths are bounded here. What one field may be because of another, such as a
tool's message that answers no call, is decided by the use case.
"""

from typing import Annotated, Literal

import orjson
from pydantic import (
    AfterValidator,
    AwareDatetime,
    BeforeValidator,
    Discriminator,
    Field,
    JsonValue,
    StringConstraints,
    Tag,
)

from services.api.schemas.requests import (
    Body,
    Metadata,
    Name,
    Text,
    storable,
    without_nul,
)
from services.api.settings import (
    DEFAULT_OUTPUT_TOKENS,
    MAX_OUTPUT_TOKENS,
    MAX_SCHEMA_BYTES,
    MAX_SCHEMA_DEPTH,
    MAX_TOOLS,
)
from shared.domain.jobs import OnInterrupt


def _within_schema_bounds(schema: dict[str, JsonValue]) -> dict[str, JsonValue]:
    level: list[JsonValue] = [schema]
    for _ in range(MAX_SCHEMA_DEPTH):
        level = [inner for value in level for inner in _inside(value)]
    if level:
        raise ValueError(f"must not be nested deeper than {MAX_SCHEMA_DEPTH} levels")
    if len(orjson.dumps(schema)) > MAX_SCHEMA_BYTES:
        raise ValueError(f"must not exceed {MAX_SCHEMA_BYTES} bytes")
    return schema


def _inside(value: JsonValue) -> list[JsonValue]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []


def _text_or_parts(value: object) -> str:
    """Name the branch in brackets, which marks it as no part of the client's own path."""
    return "[text]" if isinstance(value, str) else "[parts]"


def _mode_or_tool(value: object) -> str:
    return "[mode]" if isinstance(value, str) else "[tool]"


def _any_is_required(value: object) -> object:
    """Read the older name of `required`, which Workers AI refuses."""
    return "required" if value == "any" else value


FunctionName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
Description = Annotated[str, Field(max_length=4_096), AfterValidator(without_nul)]
JsonSchemaObject = Annotated[
    dict[str, JsonValue], AfterValidator(storable), AfterValidator(_within_schema_bounds)
]


class TextPartBody(Body):
    """A piece of a message's text."""

    type: Literal["text"]
    text: Text


class CalledFunctionBody(Body):
    """The function that an assistant wanted called, with its arguments as JSON text."""

    name: FunctionName
    arguments: Annotated[str, AfterValidator(without_nul)]


class ToolCallBody(Body):
    """A call that an assistant's message asks for."""

    id: Name
    type: Literal["function"] = "function"
    function: CalledFunctionBody


Content = Annotated[
    Annotated[Annotated[str, AfterValidator(without_nul)], Tag("[text]")]
    | Annotated[list[TextPartBody], Field(min_length=1, max_length=2_048), Tag("[parts]")],
    Discriminator(_text_or_parts),
]


class MessageBody(Body):
    """One turn of a conversation; an assistant's may call tools, a tool's answers such a call."""

    role: Literal["system", "user", "assistant", "tool"]
    content: Content | None = None
    tool_calls: list[ToolCallBody] | None = Field(None, min_length=1, max_length=MAX_TOOLS)
    tool_call_id: Name | None = None


class FunctionBody(Body):
    """A function that the model may ask for; `parameters` is a JSON schema."""

    name: FunctionName
    description: Description | None = None
    parameters: JsonSchemaObject | None = None
    strict: bool | None = None


class ToolBody(Body):
    """A tool: a function of the caller's."""

    type: Literal["function"]
    function: FunctionBody


class FunctionNameBody(Body):
    """A function by its name."""

    name: FunctionName


class NamedToolBody(Body):
    """The one function that the model must call."""

    type: Literal["function"]
    function: FunctionNameBody


ToolChoiceBody = Annotated[
    Annotated[
        Literal["auto", "none", "required"], BeforeValidator(_any_is_required), Tag("[mode]")
    ]
    | Annotated[NamedToolBody, Tag("[tool]")],
    Discriminator(_mode_or_tool),
]


class AnswerSchemaBody(Body):
    """What the answer's JSON must look like."""

    name: FunctionName
    schema_: JsonSchemaObject = Field(alias="schema")
    description: Description | None = None
    strict: bool | None = None


class ResponseFormatBody(Body):
    """What the answer must be: text, any JSON object, or JSON of a schema."""

    type: Literal["text", "json_object", "json_schema"]
    json_schema: AnswerSchemaBody | None = None


class ChatJobBody(Body):
    """A chat to complete."""

    messages: list[MessageBody] = Field(min_length=1, max_length=2_048)
    model: Name = "auto"
    max_tokens: int = Field(DEFAULT_OUTPUT_TOKENS, ge=1, le=MAX_OUTPUT_TOKENS)
    temperature: float | None = Field(None, ge=0, le=2)
    tools: list[ToolBody] | None = Field(None, min_length=1, max_length=MAX_TOOLS)
    tool_choice: ToolChoiceBody | None = None
    response_format: ResponseFormatBody | None = None
    on_interrupt: OnInterrupt = OnInterrupt.RESTART
    deadline: AwareDatetime | None = None
    metadata: Metadata | None = None
