"""Reads a CSV file with a header line, and says where each line stands."""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from shared.domain.errors import PriceBookError


@dataclass(frozen=True, slots=True)
class CsvLine:
    """One line: its cells by column, and its place (`prices/openai.csv:12`)."""

    place: str
    cells: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class CsvLines:
    """A file's columns, and its lines below the header while they are read."""

    columns: Sequence[str]
    lines: Iterator[CsvLine]


def read_csv(path: Path) -> CsvLines:
    """Return the file's lines; blank ones are skipped.

    Raises:
        PriceBookError: The file cannot be read or is empty; or, once lines are taken, one of them
            has more or fewer cells than the header.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise PriceBookError(f"price file {path} cannot be read: {error}") from error
    rows = _rows(path, text)
    _, columns = next(rows, (0, None))
    if columns is None:
        raise PriceBookError(f"price file {path} is empty; write at least its header")
    return CsvLines(columns, (_line(f"{path}:{number}", columns, row) for number, row in rows))


def _rows(path: Path, text: str) -> Iterator[tuple[int, Sequence[str]]]:
    reader = csv.reader(io.StringIO(text), strict=True)
    try:
        for row in reader:
            if row:
                yield reader.line_num, row
    except csv.Error as error:
        raise PriceBookError(f"{path}:{reader.line_num}: {error}") from error


def _line(place: str, columns: Sequence[str], cells: Sequence[str]) -> CsvLine:
    if len(cells) < len(columns):
        raise PriceBookError(f"{place}: has fewer cells than the header; write every comma")
    if len(cells) > len(columns):
        raise PriceBookError(f"{place}: has cells beyond the header; quote texts with commas")
    return CsvLine(place, dict(zip(columns, cells, strict=True)))
