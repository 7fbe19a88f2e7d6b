"""The request of a job as the API stores it and the workers read it back."""

from pydantic import BaseModel, ConfigDict


class _Request(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class ChatTurn(_Request):
    """One message of a conversation."""

    role: str
    content: str


class ChatRequest(_Request):
    """What a chat job asks; `temperature` None leaves it to the model."""

    messages: tuple[ChatTurn, ...]
    max_tokens: int
    temperature: float | None = None


class EmbedRequest(_Request):
    """The texts of an embedding job, by position."""

    input: tuple[str, ...]
