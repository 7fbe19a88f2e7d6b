"""One request to a provider and its answer, in the words all providers share."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from shared.domain.ids import AttemptId
from shared.domain.rate_limits import RateReport
from shared.domain.usage import NO_USAGE, TokenUsage

OptionValue = str | int | float | bool
"""A provider option from the routing table."""
JsonSchema = Mapping[str, object]
"""A JSON schema, as its author wrote it."""


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A function that the model wants called.

    Attributes:
        id: By which the caller's answer names it; unique within the conversation.
        arguments: JSON as the model wrote it, which may be wrong.
    """

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Tool:
    """A function that the model may ask for.

    Attributes:
        parameters: A JSON schema; None for a function without parameters.
        strict: Whether the arguments must fit the schema; None leaves it to the provider.
    """

    name: str
    description: str | None = None
    parameters: JsonSchema | None = None
    strict: bool | None = None


class ToolMode(StrEnum):
    """Whether the model may, must not or must call a function."""

    AUTO = "auto"
    NONE = "none"
    REQUIRED = "required"


@dataclass(frozen=True, slots=True)
class NamedTool:
    """The one function that the model must call."""

    name: str


@dataclass(frozen=True, slots=True)
class AnswerSchema:
    """What the JSON of an answer must look like."""

    name: str
    schema: JsonSchema
    description: str | None = None
    strict: bool | None = None


@dataclass(frozen=True, slots=True)
class JsonAnswer:
    """The answer must be a JSON object, of a schema if there is one."""

    schema: AnswerSchema | None = None


@dataclass(frozen=True, slots=True)
class ChatMessage:
    """One turn of a conversation.

    Attributes:
        content: The text, or its parts where the caller kept them apart.
        tool_calls: What an assistant wanted called.
        tool_call_id: Which call a tool's message answers.
    """

    role: str
    content: str | tuple[str, ...]
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None

    @property
    def texts(self) -> tuple[str, ...]:
        """Return every text of the message that a model reads."""
        parts = (self.content,) if isinstance(self.content, str) else self.content
        return (*parts, *(text for call in self.tool_calls for text in (call.name, call.arguments)))


@dataclass(slots=True)
class Meter:
    """What a call whose answer was closed before its end had consumed by then."""

    usage: TokenUsage = NO_USAGE
    provider_request_id: str | None = None

    def read(self, usage: TokenUsage, provider_request_id: str | None) -> None:
        """Take down what was consumed."""
        self.usage, self.provider_request_id = usage, provider_request_id


@dataclass(frozen=True, slots=True)
class ChatCall:
    """One chat request to one provider.

    Attributes:
        credential: Which of the provider's API tokens to use, from 0; None for any.
        is_interactive: Whether somebody waits for the answer, so that a busy model is to refuse
            rather than to queue the call.
        meter: Is told what was consumed if the answer is closed before its end.
    """

    attempt_id: AttemptId
    model: str
    messages: Sequence[ChatMessage]
    max_output_tokens: int
    temperature: float | None = None
    options: Mapping[str, OptionValue] = field(default_factory=dict[str, OptionValue])
    tools: Sequence[Tool] = ()
    tool_choice: ToolMode | NamedTool | None = None
    response_format: JsonAnswer | None = None
    is_interactive: bool = True
    credential: int | None = None
    meter: Meter | None = None


@dataclass(frozen=True, slots=True)
class TextDelta:
    """The next piece of an answer."""

    text: str


@dataclass(frozen=True, slots=True)
class ChatFinished:
    """The end of an answer, with what it consumed.

    Attributes:
        tool_calls: What the model wants called, beside or instead of the text.
        limits: What the provider says is left of its limits; None when it says nothing.
    """

    finish_reason: str
    usage: TokenUsage
    model_answered: str
    provider_request_id: str | None
    tool_calls: tuple[ToolCall, ...] = ()
    limits: RateReport | None = None


ChatEvent = TextDelta | ChatFinished


@dataclass(frozen=True, slots=True)
class EmbeddingCall:
    """One embedding request to one provider: a batch within the model's limits.

    Attributes:
        credential: Which of the provider's API tokens to use, from 0; None for any.
        is_interactive: As for `ChatCall`.
    """

    attempt_id: AttemptId
    model: str
    texts: Sequence[str]
    dimensions: int
    is_interactive: bool = True
    credential: int | None = None


@dataclass(frozen=True, slots=True)
class EmbeddingAnswer:
    """Vectors in the order of the texts, each `dimensions` little-endian float32 values.

    Attributes:
        limits: What the provider says is left of its limits; None when it says nothing.
    """

    vectors: Sequence[bytes]
    usage: TokenUsage
    model_answered: str
    provider_request_id: str | None
    limits: RateReport | None = None
