"""The providers' JSON schemas (see `schemas/`), and their captured answers (see `captures/`).

Invariant: as real answers do, a field that OpenAI's specification does not require may be null; the
alternatives of Cloudflare's schemas, which require nothing, are told apart by having all fields.
"""

import json
from functools import cache
from pathlib import Path

import jsonschema

from simulator.json_values import JsonObject, is_array, is_number, is_object

_FOLDER = Path(__file__).parent


def check_cloudflare(entry: str, value: object) -> None:
    """Hold a value against an entry of Cloudflare's schemas.

    Raises:
        jsonschema.ValidationError: It does not fit.
    """
    schema = _told_apart(_read("schemas/cloudflare-workers-ai.schema.json")[entry])
    assert is_object(schema)
    jsonschema.validate(value, schema)


def check_openai(name: str, value: object) -> None:
    """Hold a value against a schema of OpenAI's specification.

    Raises:
        jsonschema.ValidationError: It does not fit.
    """
    components = _lenient(_read("schemas/openai.schema.json")["components"])
    schema = {"$ref": f"#/components/schemas/{name}", "components": components}
    jsonschema.validate(value, schema)


def captured(name: str) -> JsonObject:
    """Return a captured JSON answer."""
    return _read(f"captures/{name}.json")


def captured_stream(name: str) -> str:
    """Return a captured stream."""
    return (_FOLDER / f"captures/{name}.sse").read_text("utf-8")


def shape_of(value: object) -> object:
    """Return the names and kinds of a value: what two answers of one shape have in common."""
    if is_object(value):
        return {name: shape_of(item) for name, item in value.items()}
    if is_array(value):
        return [shape_of(item) for item in value[:1]]
    return "number" if is_number(value) else type(value).__name__


@cache
def _read(path: str) -> JsonObject:
    read: JsonObject = json.loads((_FOLDER / path).read_text("utf-8"))
    return read


def _told_apart(part: object) -> object:
    """Let each alternative of a choice require all of its fields, unless it says which."""
    if is_array(part):
        return [_told_apart(item) for item in part]
    if not is_object(part):
        return part
    read = {name: _told_apart(item) for name, item in part.items()}
    if is_array(choices := read.get("oneOf")):
        read["oneOf"] = [_all_required(choice) for choice in choices]
    return read


def _all_required(choice: object) -> JsonObject:
    assert is_object(choice)
    fields = choice.get("properties")
    return {"required": list(fields) if is_object(fields) else []} | choice


def _lenient(part: object) -> object:
    """Let properties that are not required, or called nullable, be null."""
    if is_array(part):
        return [_lenient(item) for item in part]
    if not is_object(part):
        return part
    read = {name: _lenient(item) for name, item in part.items()}
    needed = read.get("required")
    if is_object(fields := read.get("properties")):
        is_needed = frozenset(needed if is_array(needed) else [])
        read["properties"] = {
            name: field if name in is_needed and not _is_nullable(field) else _or_null(field)
            for name, field in fields.items()
        }
    return read


def _is_nullable(schema: object) -> bool:
    return is_object(schema) and schema.get("nullable") is True


def _or_null(schema: object) -> JsonObject:
    return {"anyOf": [schema, {"type": "null"}]}
