"""Called tools in Cloudflare's two forms: flat in native answers, OpenAI's in the others."""

from simulator.answers import Answer
from simulator.json_values import JsonObject, decode_object


def flat_call(answer: Answer) -> list[JsonObject]:
    """Return the native `tool_calls`: arguments as an object, none if they were cut off."""
    arguments = decode_object(answer.arguments.encode()) if answer.tool else None
    return [] if arguments is None else [{"name": answer.tool, "arguments": arguments}]


def openai_call(answer: Answer, arguments: str | None = None) -> JsonObject:
    """Return one call as OpenAI writes it, with the answer's arguments as text."""
    text = answer.arguments if arguments is None else arguments
    return {
        "id": f"chatcmpl-tool-{answer.tool}",
        "type": "function",
        "function": {"name": answer.tool, "arguments": text},
    }
