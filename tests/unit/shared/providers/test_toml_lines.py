import tomllib
from collections.abc import Iterator

import pytest

from shared.providers.json_reading import is_array, is_object
from shared.providers.toml_lines import lines_by_key

_EVERYTHING = '''# a comment with [brackets] and = signs
title = "one"   # after a value

[owner]
name = "Tom \\"the\\" Preston = [x]"
"quoted.key" = 1
'literal key' = 2
dotted.inner . deep = 3

[a.b]
inline = { first = 1, second.third = "}", list = [1, { x = 2 }] }
long = [
  "one", # with a comment ]
  "two",

  ["three"],
]
text = """
[not.a.header]
key = "value" \\"""
more"""
raw = \'\'\'
# no comment
\'\'\'
day = 1979-05-27 07:32:00
after = true

[[limits]]
provider = "x"

[[limits]]
provider = "y"
[limits.inner]
z = 1
[[limits.deep]]
q = 1
'''


def _paths(value: object, path: str = "") -> Iterator[str]:
    items: list[tuple[object, object]] = []
    if is_object(value):
        items = list(value.items())
    elif is_array(value):
        items = list(enumerate(value))
    for key, inner in items:
        here = f"{path}.{key}" if path else str(key)
        yield here
        yield from _paths(inner, here)


def test_every_key_and_element_has_a_line_and_nothing_else_has() -> None:
    assert sorted(lines_by_key(_EVERYTHING)) == sorted(_paths(tomllib.loads(_EVERYTHING)))


@pytest.mark.parametrize(
    ("key", "line"),
    [
        ("title", 2),
        ("owner", 4),
        ("owner.name", 5),
        ("owner.quoted.key", 6),
        ("owner.literal key", 7),
        ("owner.dotted", 8),
        ("owner.dotted.inner.deep", 8),
        ("a", 10),
        ("a.b.inline.second.third", 11),
        ("a.b.inline.list.1.x", 11),
        ("a.b.long", 12),
        ("a.b.long.0", 13),
        ("a.b.long.1", 14),
        ("a.b.long.2.0", 16),
        ("a.b.text", 18),
        ("a.b.raw", 22),
        ("a.b.day", 25),
        ("a.b.after", 26),
        ("limits", 28),
        ("limits.0", 28),
        ("limits.0.provider", 29),
        ("limits.1", 31),
        ("limits.1.provider", 32),
        ("limits.1.inner.z", 34),
        ("limits.1.deep.0.q", 36),
    ],
)
def test_a_key_has_the_line_on_which_it_stands(key: str, line: int) -> None:
    assert lines_by_key(_EVERYTHING)[key] == line


def test_windows_line_ends_count_once() -> None:
    assert lines_by_key("a = 1\r\nb = 2\r\n") == {"a": 1, "b": 2}


def test_an_empty_file_has_no_key() -> None:
    assert lines_by_key("# nothing\n") == {}
