"""Request bodies as Workers AI's models want them (its schemas and model pages, 2026-08 to -10).

Invariant: no request asks for both a stream and JSON mode, which Workers AI refuses together.
"""

import re
from dataclasses import replace

from shared.domain.provider_calls import ChatCall, EmbeddingCall, JsonAnswer
from shared.providers.chat_bodies import (
    json_schema_body,
    message_body,
    present,
    tool_choice_body,
    tools_body,
)
from shared.providers.json_reading import JsonObject
from shared.providers.request_options import with_options

_OPENAI_SCHEMA = re.compile(r"gemma-4|glm-|qwen3|gpt-oss|kimi|deepseek-v4|nemotron")
"""Models that take OpenAI's chat schema; the others take Workers AI's own."""
_NO_PARAMETERS: JsonObject = {"type": "object", "properties": {}}
_AT_ONCE: JsonObject = {"rejectIfBusy": True}


def chat_body(call: ChatCall) -> JsonObject:
    """Return the body of a chat request."""
    body: dict[str, object] = {
        "messages": [message_body(one, no_text="") for one in call.messages],
        "stream": call.response_format is None,
        "max_tokens": call.max_output_tokens,
    }
    optional: dict[str, object] = {
        "options": _AT_ONCE if call.is_interactive else None,
        "temperature": call.temperature,
        "tools": _tools(call) or None,
        "tool_choice": call.tool_choice and tool_choice_body(call.tool_choice),
        "response_format": call.response_format and _format(call.model, call.response_format),
    }
    return with_options(body | present(optional), call.options)


def embedding_body(call: EmbeddingCall) -> JsonObject:
    """Return the body of an embedding request."""
    body: dict[str, object] = {"text": list(call.texts)}
    return body | {"options": _AT_ONCE} if call.is_interactive else body


def _tools(call: ChatCall) -> list[JsonObject]:
    """Return the functions; older models' schemas require what OpenAI's leaves optional."""
    return tools_body(
        [
            replace(
                tool,
                description=tool.description or "",
                parameters=tool.parameters or _NO_PARAMETERS,
            )
            for tool in call.tools
        ]
    )


def _format(model: str, wanted: JsonAnswer) -> JsonObject:
    """Return JSON mode; older models want a bare schema, newer ones OpenAI's wrapper around it."""
    answer = wanted.schema
    if answer is None:
        return {"type": "json_object"}
    if not _OPENAI_SCHEMA.search(model):
        return {"type": "json_schema", "json_schema": answer.schema}
    return json_schema_body(answer)
