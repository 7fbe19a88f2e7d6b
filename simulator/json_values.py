"""Typed reading of decoded JSON.

Invariant: what comes from a client stays `object` until one of these guards has looked at it.
"""

from typing import TypeGuard

import orjson

JsonObject = dict[str, object]


def is_object(value: object) -> TypeGuard[JsonObject]:
    """Tell whether a decoded value is a JSON object."""
    return isinstance(value, dict)


def is_array(value: object) -> TypeGuard[list[object]]:
    """Tell whether a decoded value is a JSON array."""
    return isinstance(value, list)


def is_integer(value: object) -> TypeGuard[int]:
    """Tell whether a decoded value is an integer; `true` is not one."""
    return isinstance(value, int) and not isinstance(value, bool)


def is_number(value: object) -> TypeGuard[int | float]:
    """Tell whether a decoded value is a number; `true` is not one."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_text_array(value: object) -> TypeGuard[list[str]]:
    """Tell whether a decoded value is an array of strings."""
    return is_array(value) and all(isinstance(item, str) for item in value)


def decode_object(body: bytes) -> JsonObject | None:
    """Return the JSON object in `body`, or None when it holds anything else."""
    try:
        value: object = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    return value if is_object(value) else None
