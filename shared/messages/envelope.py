"""What every message carries, so that any of them can be traced, deduplicated and dated."""

from datetime import datetime

from pydantic import BaseModel, ConfigDict


class Message(BaseModel):
    """A frozen JSON message; unknown fields are ignored so that newer senders can add some."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Envelope(Message):
    """The fields of every command and event; each adds its `kind`, name and version in one.

    Attributes:
        message_id: Identical on every redelivery and republication.
        correlation_id: The job.
        causation_id: The message or attempt that led to this one.
        occurred_at: When the fact happened, UTC; events are priced by it.
    """

    message_id: str
    correlation_id: str
    causation_id: str | None = None
    occurred_at: datetime
