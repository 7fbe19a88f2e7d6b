"""Reads documents from a JSON-lines file, in pages that one call may carry."""

from collections.abc import Iterator
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from cli.api_client import ApiFailedError, JsonObject

_DOCUMENTS_PER_PAGE = 1000
_BYTES_PER_PAGE = 512 * 1024
_DOCUMENT = TypeAdapter[JsonObject](JsonObject)


def document_pages(file: Path) -> Iterator[list[JsonObject]]:
    """Yield the documents of the file, a page at a time; empty lines are skipped.

    Raises:
        ApiFailedError: A line is no JSON object; the message names it.
        OSError: The file cannot be read.
    """
    page: list[JsonObject] = []
    size = 0
    for document, length in _documents(file):
        if page and (len(page) == _DOCUMENTS_PER_PAGE or size + length > _BYTES_PER_PAGE):
            yield page
            page, size = [], 0
        page.append(document)
        size += length
    if page:
        yield page


def _documents(file: Path) -> Iterator[tuple[JsonObject, int]]:
    with file.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                yield _DOCUMENT.validate_json(line), len(line)
            except ValidationError:
                raise ApiFailedError(f"{file}, line {number}: not a JSON object") from None
