from pathlib import Path

import pytest

from cli.demo.documents import library_documents

_LONG = "Read a line and say what it is, " * 4


def test_every_python_has_a_thousand_different_documents() -> None:
    documents = library_documents(1_000)
    assert len({one.id for one in documents}) == len({one.text for one in documents}) == 1_000


def test_documents_are_named_by_where_they_are(tmp_path: Path) -> None:
    (tmp_path / "json").mkdir()
    (tmp_path / "json" / "__init__.py").write_text(
        f'"""{_LONG}"""\nclass Reader:\n    def read(self):\n        """{_LONG}!"""\n'
    )
    assert [one.id for one in library_documents(9, tmp_path)] == ["json", "json.Reader.read"]


def test_a_text_comes_once(tmp_path: Path) -> None:
    for name in ("bisect", "heapq"):
        (tmp_path / f"{name}.py").write_text(f'"""{_LONG}"""')
    assert [one.id for one in library_documents(9, tmp_path)] == ["bisect"]


def test_an_id_comes_once(tmp_path: Path) -> None:
    defined_twice = "".join(f'def read():\n    """{_LONG}{n}"""\n' for n in range(2))
    (tmp_path / "bisect.py").write_text(defined_twice)
    assert [one.id for one in library_documents(9, tmp_path)] == ["bisect.read"]


@pytest.mark.parametrize("text", ["", "Too short to be found."])
def test_a_text_that_says_little_is_left_out(tmp_path: Path, text: str) -> None:
    (tmp_path / "bisect.py").write_text(f'"""{text}"""')
    assert library_documents(9, tmp_path) == []


def test_a_long_text_is_cut(tmp_path: Path) -> None:
    (tmp_path / "bisect.py").write_text(f'"""{_LONG * 100}"""')
    assert len(library_documents(9, tmp_path)[0].text) <= 1_500


def test_there_are_no_more_than_asked_for() -> None:
    assert len(library_documents(3)) == 3
