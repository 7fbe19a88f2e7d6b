"""One request to a provider and its answer, in the words all providers share."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from shared.domain.ids import AttemptId
from shared.domain.usage import TokenUsage

OptionValue = str | int | float | bool
"""A provider option from the routing table."""


@dataclass(frozen=True, slots=True)
class ChatMessage:
    """One turn of a conversation."""

    role: str
    content: str


@dataclass(frozen=True, slots=True)
class ChatCall:
    """One chat request to one provider.

    Attributes:
        credential: Which of the provider's API tokens to use, from 0; None for any.
    """

    attempt_id: AttemptId
    model: str
    messages: Sequence[ChatMessage]
    max_output_tokens: int
    temperature: float | None = None
    options: Mapping[str, OptionValue] = field(default_factory=dict[str, OptionValue])
    credential: int | None = None


@dataclass(frozen=True, slots=True)
class TextDelta:
    """The next piece of an answer."""

    text: str


@dataclass(frozen=True, slots=True)
class ChatFinished:
    """The end of an answer, with what it consumed."""

    finish_reason: str
    usage: TokenUsage
    model_answered: str
    provider_request_id: str | None


ChatEvent = TextDelta | ChatFinished


@dataclass(frozen=True, slots=True)
class EmbeddingCall:
    """One embedding request to one provider: a batch within the model's limits.

    Attributes:
        credential: Which of the provider's API tokens to use, from 0; None for any.
    """

    attempt_id: AttemptId
    model: str
    texts: Sequence[str]
    dimensions: int
    credential: int | None = None


@dataclass(frozen=True, slots=True)
class EmbeddingAnswer:
    """Vectors in the order of the texts, each `dimensions` little-endian float32 values."""

    vectors: Sequence[bytes]
    usage: TokenUsage
    model_answered: str
    provider_request_id: str | None
