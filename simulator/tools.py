"""The tools that a chat request offers, and which of them the model calls.

A model calls a tool when it must (`tool_choice` says `required` or names one), or when the last
message is the user's and begins with `call NAME`.
Invariant: only a tool that was offered is called.
"""

import re
from dataclasses import dataclass

from simulator.json_values import JsonObject, is_array, is_object
from simulator.refusal import InvalidRequestError

_CALL = re.compile(r"\s*call\s+([\w.-]+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Tool:
    """A function that the model may call, with the schema of its arguments."""

    name: str
    parameters: object


def choose_tool(body: JsonObject, last_from_user: str) -> Tool | None:
    """Return the tool that a request's answer calls; `last_from_user` is blank after others.

    Raises:
        InvalidRequestError: the tools or the choice cannot be read.
    """
    offered = _read_tools(body.get("tools"))
    choice = body.get("tool_choice", "auto")
    asked = _CALL.match(last_from_user)
    asked_for = offered.get(asked[1]) if asked else None
    match choice:
        case "none":
            return None
        case "auto" | None:
            return asked_for
        case "required" if offered:
            return asked_for or next(iter(offered.values()))
        case _ if is_object(choice) and _name(choice) in offered:
            return offered[_name(choice)]
        case _:
            raise InvalidRequestError(f"tool_choice cannot be {choice!r}", "tool_choice")


def _read_tools(tools: object) -> dict[str, Tool]:
    if not is_array(tools):
        raise InvalidRequestError("tools must be an array", "tools")
    offered: dict[str, Tool] = {}
    for tool in tools:
        if not is_object(tool) or not (name := _name(tool)):
            raise InvalidRequestError("each tool must be an object with a name", "tools")
        offered[name] = Tool(name, _function(tool).get("parameters"))
    return offered


def _name(tool: JsonObject) -> str:
    name = _function(tool).get("name")
    return name if isinstance(name, str) else ""


def _function(tool: JsonObject) -> JsonObject:
    """Return what describes the function: the tool itself, or what it wraps."""
    wrapped = tool.get("function")
    return wrapped if is_object(wrapped) else tool
