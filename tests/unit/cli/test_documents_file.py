import json
from pathlib import Path

import pytest

from cli.api_client import ApiFailedError
from cli.documents_file import document_pages


def _file(folder: Path, *lines: str) -> Path:
    file = folder / "documents.jsonl"
    file.write_text("\n".join(lines))
    return file


def test_a_page_holds_no_more_than_one_call_may_carry(tmp_path: Path) -> None:
    file = _file(tmp_path, *(json.dumps({"text": str(number)}) for number in range(2001)))
    assert [len(page) for page in document_pages(file)] == [1000, 1000, 1]


def test_long_documents_make_short_pages(tmp_path: Path) -> None:
    file = _file(tmp_path, *[json.dumps({"text": "x" * 200_000})] * 3)
    assert [len(page) for page in document_pages(file)] == [2, 1]


def test_empty_lines_are_skipped(tmp_path: Path) -> None:
    assert list(document_pages(_file(tmp_path, "", '{"text":"a"}', " ", ""))) == [[{"text": "a"}]]


def test_a_broken_line_is_named(tmp_path: Path) -> None:
    with pytest.raises(ApiFailedError, match="line 2: not a JSON object"):
        list(document_pages(_file(tmp_path, '{"text":"a"}', "[1]")))
