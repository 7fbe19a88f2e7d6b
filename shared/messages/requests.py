"""The request of a job as the API stores it and the workers read it back.

Invariant: what an earlier release stored is still read; a newer one's additions are passed over.
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue


class _Request(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class TextPart(_Request):
    """A piece of a message's text."""

    text: str


class CalledFunction(_Request):
    """A function that was to be called; `arguments` is JSON as text."""

    name: str
    arguments: str


class CalledTool(_Request):
    """A call that an assistant's message asked for."""

    id: str
    function: CalledFunction


class ChatTurn(_Request):
    """One message of a conversation; `tool_call_id` names the call that a tool's answers."""

    role: str
    content: str | tuple[TextPart, ...] = ""
    tool_calls: tuple[CalledTool, ...] = ()
    tool_call_id: str | None = None


class FunctionRequest(_Request):
    """A function that the model may ask for; `parameters` is a JSON schema."""

    name: str
    description: str | None = None
    parameters: dict[str, JsonValue] | None = None
    strict: bool | None = None


class ToolRequest(_Request):
    """A tool, of which there is one kind."""

    function: FunctionRequest


class NamedFunction(_Request):
    """A function by its name."""

    name: str


class NamedToolRequest(_Request):
    """The one function that the model must call."""

    function: NamedFunction


class SchemaRequest(_Request):
    """What the answer's JSON must look like."""

    name: str
    schema_: dict[str, JsonValue] = Field(alias="schema")
    description: str | None = None
    strict: bool | None = None


class FormatRequest(_Request):
    """What the answer must be."""

    type: Literal["text", "json_object", "json_schema"]
    json_schema: SchemaRequest | None = None


class ChatRequest(_Request):
    """What a chat job asks; `temperature` None leaves it to the model."""

    messages: tuple[ChatTurn, ...]
    max_tokens: int
    temperature: float | None = None
    tools: tuple[ToolRequest, ...] = ()
    tool_choice: Literal["auto", "none", "required"] | NamedToolRequest | None = None
    response_format: FormatRequest | None = None


class EmbedRequest(_Request):
    """The texts of an embedding job, by position."""

    input: tuple[str, ...]
