"""Messages as they were once sent, byte for byte: whatever the code becomes, they must decode.

A file here is never changed or removed, for messages like it may lie in a queue or an outbox. A new
version of a message gets a new folder.
"""

import json
from pathlib import Path

import jsonschema
import pytest

from shared.messages.frames import FRAME
from shared.messages.schemas import FRAME_TYPES, MESSAGE_BY_NAME, message_schema

GOLDEN = sorted((Path(__file__).parent / "golden").rglob("*.json"))
OF_FRAMES = [file for file in GOLDEN if file.parent.name.startswith("job.")]


def _name(file: Path) -> str:
    return f"{file.parent.name}/{file.stem}"


@pytest.mark.parametrize("file", GOLDEN, ids=_name)
def test_a_golden_message_decodes(file: Path) -> None:
    message = MESSAGE_BY_NAME[file.parent.name].model_validate_json(file.read_bytes())
    assert type(message).model_validate_json(message.model_dump_json()) == message


@pytest.mark.parametrize("file", GOLDEN, ids=_name)
def test_a_golden_message_keeps_every_value_it_came_with(file: Path) -> None:
    model = MESSAGE_BY_NAME[file.parent.name]
    message = model.model_validate_json(file.read_bytes())
    sent: dict[str, object] = json.loads(file.read_bytes())
    again: dict[str, object] = json.loads(message.model_dump_json(exclude_unset=True))
    assert again == {name: value for name, value in sent.items() if name in model.model_fields}


@pytest.mark.parametrize("file", GOLDEN, ids=_name)
def test_a_golden_message_satisfies_the_published_schema(file: Path) -> None:
    model = MESSAGE_BY_NAME[file.parent.name]
    message = model.model_validate_json(file.read_bytes())
    jsonschema.validate(json.loads(message.model_dump_json()), message_schema(model))


@pytest.mark.parametrize("file", OF_FRAMES, ids=_name)
def test_a_golden_frame_is_told_by_its_type(file: Path) -> None:
    assert type(FRAME.validate_json(file.read_bytes())) is MESSAGE_BY_NAME[file.parent.name]


def test_every_message_has_a_golden_one() -> None:
    assert {file.parent.name for file in GOLDEN} == set(MESSAGE_BY_NAME)


def test_the_catalogue_names_every_frame() -> None:
    assert {frame.__name__ for frame in FRAME_TYPES} == {
        definition.split("/")[-1]
        for definition in FRAME.json_schema()["discriminator"]["mapping"].values()
    }
