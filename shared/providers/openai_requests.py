"""Chat requests as OpenAI and the servers with its API take them."""

from shared.domain.provider_calls import ChatCall, ChatMessage, JsonAnswer
from shared.providers.chat_bodies import (
    json_schema_body,
    message_body,
    present,
    tool_choice_body,
    tools_body,
)
from shared.providers.json_reading import JsonObject
from shared.providers.openai_models import takes_temperature
from shared.providers.request_options import with_options


def chat_body(call: ChatCall, max_tokens_field: str) -> JsonObject:
    """Return the body of a streamed chat request."""
    body: dict[str, object] = {
        "model": call.model,
        "messages": [_message(one) for one in call.messages],
        "stream": True,
        "stream_options": {"include_usage": True},
        max_tokens_field: call.max_output_tokens,
    }
    optional: dict[str, object] = {
        "temperature": call.temperature if takes_temperature(call.model) else None,
        "tools": tools_body(call.tools) or None,
        "tool_choice": call.tool_choice and tool_choice_body(call.tool_choice),
        "response_format": call.response_format and _format(call.response_format),
    }
    return with_options(body | present(optional), call.options)


def _message(message: ChatMessage) -> JsonObject:
    return message_body(message, no_text=None)


def _format(wanted: JsonAnswer) -> JsonObject:
    if wanted.schema is None:
        return {"type": "json_object"}
    return json_schema_body(wanted.schema)
