"""JSON objects that fit a schema, made of a text's words.

Invariant: every property of the schema is there, and of its type.
"""

from simulator.json_values import JsonObject, is_array, is_object


def object_for(schema: object, text: str) -> JsonObject | None:
    """Return an object with a schema's properties, or None for a schema that names none."""
    properties = schema.get("properties") if is_object(schema) else None
    if not is_object(properties):
        return None
    return {name: _value_for(wanted, text) for name, wanted in properties.items()}


def _value_for(wanted: object, text: str) -> object:
    if not is_object(wanted):
        return text
    choices = wanted.get("enum")
    if is_array(choices) and choices:
        return choices[0]
    match wanted.get("type"):
        case "object":
            return object_for(wanted, text) or {}
        case "array":
            return [_value_for(wanted["items"], text)] if "items" in wanted else []
        case kind:
            simple: JsonObject = {"integer": 1, "number": 1.5, "boolean": True, "null": None}
            return simple.get(kind, text) if isinstance(kind, str) else text
