from pathlib import Path

from pydantic import JsonValue

from cli.schemas import differences, generated, write
from shared.messaging.asyncapi import asyncapi_document
from shared.messaging.topology import EXCHANGES, QUEUES


def _references(value: JsonValue) -> list[str]:
    if isinstance(value, dict):
        own = value.get("$ref")
        below = [place for inner in value.values() for place in _references(inner)]
        return [own, *below] if isinstance(own, str) else below
    if isinstance(value, list):
        return [place for inner in value for place in _references(inner)]
    return []


def _lookup(document: JsonValue, place: str) -> JsonValue:
    found = document
    for part in place.removeprefix("#/").split("/"):
        assert isinstance(found, dict)
        assert part in found, place
        found = found[part]
    return found


def test_writing_twice_changes_nothing(tmp_path: Path) -> None:
    write(tmp_path)
    before = {file: file.read_bytes() for file in tmp_path.rglob("*.json")}
    write(tmp_path)
    assert {file: file.read_bytes() for file in tmp_path.rglob("*.json")} == before
    assert differences(tmp_path) == []


def test_a_changed_a_missing_and_a_superfluous_file_are_named(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "asyncapi.json").write_text("{}", "utf-8")
    (tmp_path / "messages/job.delta.json").unlink()
    (tmp_path / "messages/job.gone.json").write_text("{}", "utf-8")
    assert differences(tmp_path) == [
        "asyncapi.json",
        "messages/job.delta.json",
        "messages/job.gone.json",
    ]
    write(tmp_path)
    assert differences(tmp_path) == []


def test_the_asyncapi_document_shows_the_whole_topology() -> None:
    document = asyncapi_document("1")
    channels = document["channels"]
    assert isinstance(channels, dict)
    expected = {f"exchange.{exchange.name}" for exchange in EXCHANGES}
    assert channels.keys() == expected | {f"queue.{queue.name}" for queue in QUEUES}


def test_every_reference_of_the_asyncapi_document_leads_somewhere() -> None:
    document = asyncapi_document("1")
    for place in _references(document):
        _lookup(document, place)


def test_every_file_is_generated() -> None:
    assert {
        "openapi.json",
        "asyncapi.json",
        "messages/usage_recorded.v1.json",
    } <= generated().keys()
