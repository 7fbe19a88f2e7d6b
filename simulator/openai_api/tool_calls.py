"""Called tools as OpenAI writes them."""

import zlib

from simulator.answers import Answer
from simulator.json_values import JsonObject


def called_tool(answer: Answer, arguments: str) -> JsonObject:
    """Return the call of an answer's tool, with its arguments as text."""
    call_id = f"call_{zlib.crc32(answer.arguments.encode()):024x}"
    function: JsonObject = {"name": answer.tool, "arguments": arguments}
    return {"id": call_id, "type": "function", "function": function}
