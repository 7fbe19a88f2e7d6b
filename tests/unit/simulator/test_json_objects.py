from simulator.json_objects import object_for
from simulator.json_values import JsonObject


def test_every_property_is_of_its_type() -> None:
    inner: JsonObject = {"type": "object", "properties": {"deep": {"type": "boolean"}}}
    properties: JsonObject = {
        "text": {"type": "string"},
        "choice": {"enum": ["b", "a"]},
        "count": {"type": "integer"},
        "share": {"type": "number"},
        "nothing": {"type": "null"},
        "list": {"type": "array", "items": {"type": "integer"}},
        "empty": {"type": "array"},
        "inner": inner,
        "bare": {"type": "object"},
        "either": {"type": ["string", "null"]},
        "any": True,
    }
    assert object_for({"properties": properties}, "words") == {
        "text": "words",
        "choice": "b",
        "count": 1,
        "share": 1.5,
        "nothing": None,
        "list": [1],
        "empty": [],
        "inner": {"deep": True},
        "bare": {},
        "either": "words",
        "any": "words",
    }


def test_a_schema_without_properties_has_no_object() -> None:
    assert object_for({"type": "object"}, "words") is None
    assert object_for(None, "words") is None
