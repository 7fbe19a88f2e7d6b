"""Typed reading of what a provider sent.

Invariant: decoded JSON stays `object` until one of these guards has looked at it.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import TypeGuard

import orjson

JsonObject = Mapping[str, object]

_NOTHING: JsonObject = {}


class MalformedAnswerError(ValueError):
    """The provider sent something other than what its API promises."""


def decode_object(data: bytes) -> JsonObject:
    """Decode a JSON object.

    Raises:
        MalformedAnswerError: It is no JSON or no object; the message quotes nothing of it.
    """
    try:
        value: object = orjson.loads(data)
    except orjson.JSONDecodeError:
        raise MalformedAnswerError("not JSON") from None
    if not is_object(value):
        raise MalformedAnswerError("not a JSON object")
    return value


def is_object(value: object) -> TypeGuard[JsonObject]:
    """Tell whether a decoded value is an object."""
    return isinstance(value, dict)


def is_array(value: object) -> TypeGuard[list[object]]:
    """Tell whether a decoded value is an array."""
    return isinstance(value, list)


def object_at(value: JsonObject, name: str) -> JsonObject:
    """Return a member that is an object, else an empty one."""
    member = value.get(name)
    return member if is_object(member) else _NOTHING


def first_object_at(value: JsonObject, name: str) -> JsonObject:
    """Return the first element of a member that is an array of objects, else an empty object."""
    members = value.get(name)
    first = members[0] if is_array(members) and members else None
    return first if is_object(first) else _NOTHING


def text_of(value: object) -> str:
    """Return a text as it is, nothing for null, and the JSON of anything else."""
    if isinstance(value, str):
        return value
    return "" if value is None else orjson.dumps(value).decode()


def count_of(value: object) -> int:
    """Return a number of tokens, 0 when it is missing."""
    return int(value) if isinstance(value, int | float) else 0


def amount_of(value: object) -> Decimal | None:
    """Return a number with the digits it was sent with, None when it is missing."""
    return Decimal(str(value)) if isinstance(value, int | float) else None
