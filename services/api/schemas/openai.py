"""OpenAI's own shapes, for clients that were written for its API.

Such clients send more than is understood here. What changes nothing about the answer is passed
over; what would change it, such as several choices, is refused by name.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from services.api.schemas.chat import ChatJobBody
from services.api.schemas.requests import EmbeddableText, Name
from services.api.settings import MAX_INPUTS, MAX_OUTPUT_TOKENS


def _one_or_many(value: object) -> object:
    return [value] if isinstance(value, str) else value


class StreamOptionsBody(BaseModel):
    """What a stream brings beside its text."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)

    include_usage: bool = False


class ChatCompletionBody(ChatJobBody):
    """A chat to complete now; without a model, `auto` is asked."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True, allow_inf_nan=False)

    n: Literal[1] | None = None
    stream: bool | None = None
    stream_options: StreamOptionsBody | None = None
    max_completion_tokens: int | None = Field(None, ge=1, le=MAX_OUTPUT_TOKENS)


class EmbeddingsBody(BaseModel):
    """Texts to embed now."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True, allow_inf_nan=False)

    input: Annotated[
        list[EmbeddableText],
        Field(min_length=1, max_length=MAX_INPUTS),
        BeforeValidator(_one_or_many),
    ]
    model: Name
    encoding_format: Literal["float", "base64"] = "float"


class ModelBody(BaseModel):
    """A model that may be asked for."""

    id: str
    object: Literal["model"] = "model"
    created: int = 0
    owned_by: str


class ModelListBody(BaseModel):
    """Every model that the caller may ask for."""

    object: Literal["list"] = "list"
    data: list[ModelBody]
