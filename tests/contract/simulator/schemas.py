"""The providers' JSON schemas (see `schemas/`), and their captured answers (see `captures/`).

Invariant: as real answers do, a field that OpenAI's specification does not require may be null; the
alternatives of Cloudflare's schemas, which require nothing, are told apart by having all fields.
"""

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import jsonschema

_FOLDER = Path(__file__).parent
_COMPONENTS = "components"


def check_cloudflare(entry: str, value: object) -> None:
    """Hold a value against an entry of Cloudflare's schemas.

    Raises:
        jsonschema.ValidationError: It does not fit.
    """
    schema = _told_apart(_read("schemas/cloudflare-workers-ai.schema.json")[entry])
    assert isinstance(schema, dict)
    jsonschema.validate(value, schema)


def check_openai(name: str, value: object) -> None:
    """Hold a value against a schema of OpenAI's specification.

    Raises:
        jsonschema.ValidationError: It does not fit.
    """
    specification = _lenient(_read("schemas/openai.schema.json"))
    reference = {"$ref": f"#/{_COMPONENTS}/schemas/{name}"}
    jsonschema.validate(value, reference | {_COMPONENTS: specification[_COMPONENTS]})


def captured(name: str) -> dict[str, object]:
    """Return a captured JSON answer."""
    return _read(f"captures/{name}.json")


def captured_stream(name: str) -> str:
    """Return a captured stream."""
    return (_FOLDER / f"captures/{name}.sse").read_text("utf-8")


def shape_of(value: object) -> object:
    """Return the names and kinds of a value: what two answers of one shape have in common."""
    if isinstance(value, dict):
        return {str(name): shape_of(item) for name, item in value.items()}
    if isinstance(value, list):
        return [shape_of(item) for item in value[:1]]
    if isinstance(value, int | float) and not isinstance(value, bool):
        return "number"
    return type(value).__name__


@cache
def _read(path: str) -> dict[str, object]:
    read: dict[str, object] = json.loads((_FOLDER / path).read_text("utf-8"))
    return read


def _told_apart(part: object) -> object:
    """Let each alternative of a choice require all of its fields, unless it says which."""
    if isinstance(part, list):
        return [_told_apart(item) for item in part]
    if not isinstance(part, dict):
        return part
    read: dict[str, object] = {name: _told_apart(item) for name, item in part.items()}
    choices = read.get("oneOf")
    if isinstance(choices, list):
        read["oneOf"] = [{"required": list(one.get("properties", []))} | one for one in choices]
    return read


def _lenient(schema: object) -> dict[str, object]:
    """Let properties that are not required, or called nullable, be null."""
    assert isinstance(schema, dict)
    return {str(name): _lenient_part(name, part, schema) for name, part in schema.items()}


def _lenient_part(name: object, part: object, schema: Mapping[object, object]) -> object:
    if name == "properties" and isinstance(part, dict):
        required = schema.get("required")
        needed = required if isinstance(required, list) else []
        return {
            field: _lenient(its) if field in needed and "nullable" not in its else _or_null(its)
            for field, its in part.items()
        }
    if isinstance(part, dict):
        return _lenient(part)
    if isinstance(part, list):
        return [_lenient(item) if isinstance(item, dict) else item for item in part]
    return part


def _or_null(schema: object) -> dict[str, object]:
    return {"anyOf": [_lenient(schema), {"type": "null"}]}
