"""JSON schemas of everything that crosses the wire, for readers in other languages.

The catalogue below is the one list of wire messages: the schemas, the AsyncAPI document and the
golden messages are all held against it.
"""

from collections.abc import Mapping

from pydantic import JsonValue, TypeAdapter

from shared.messages.commands import CompleteChat, EmbedTexts
from shared.messages.envelope import Message
from shared.messages.events import UsageRecorded
from shared.messages.frames import (
    JobCancelled,
    JobCompleted,
    JobDelta,
    JobExpired,
    JobFailed,
    JobReset,
    JobStatusFrame,
)

FRAME_TYPES: tuple[type[Message], ...] = (
    JobStatusFrame,
    JobDelta,
    JobReset,
    JobCompleted,
    JobFailed,
    JobCancelled,
    JobExpired,
)
MESSAGE_BY_NAME: Mapping[str, type[Message]] = {
    "complete_chat.v1": CompleteChat,
    "embed_texts.v1": EmbedTexts,
    "usage_recorded.v1": UsageRecorded,
    **{str(frame.model_fields["type"].default): frame for frame in FRAME_TYPES},
}
"""Every message by the name it carries: `kind` of commands and events, `type` of frames."""

_OBJECT: TypeAdapter[dict[str, JsonValue]] = TypeAdapter(dict[str, JsonValue])


def message_schema(message: type[Message], place: str = "#") -> dict[str, JsonValue]:
    """Return the JSON schema of a message as it is sent.

    Args:
        message: Whose.
        place: A JSON pointer to where the schema will stand, since references count from the root.
    """
    schema = _OBJECT.validate_python(
        message.model_json_schema(mode="serialization", ref_template=f"{place}/$defs/{{model}}")
    )
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
