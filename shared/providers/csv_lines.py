"""Reads a CSV file with a header line, and says where each line stands."""

import csv
import io
from collections.abc import Mapping, Sequence
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
    """A file's columns and its lines below the header."""

    columns: Sequence[str]
    lines: Sequence[CsvLine]


def read_csv(path: Path) -> CsvLines:
    """Return the file's lines; blank ones are skipped.

    Raises:
        PriceBookError: The file cannot be read, is empty, or a line has more or fewer cells than
            the header.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise PriceBookError(f"price file {path} cannot be read: {error}") from error
    reader = csv.reader(io.StringIO(text), strict=True)
    try:
        columns = next(reader, None)
        if columns is None:
            raise PriceBookError(f"price file {path} is empty; write at least its header")
        lines = [_line(path, reader.line_num, columns, cells) for cells in reader if cells]
    except csv.Error as error:
        raise PriceBookError(f"{path}:{reader.line_num}: {error}") from error
    return CsvLines(columns, lines)


def _line(path: Path, number: int, columns: Sequence[str], cells: Sequence[str]) -> CsvLine:
    place = f"{path}:{number}"
    if len(cells) < len(columns):
        raise PriceBookError(f"{place}: has fewer cells than the header; write every comma")
    if len(cells) > len(columns):
        raise PriceBookError(f"{place}: has cells beyond the header; quote texts with commas")
    return CsvLine(place, dict(zip(columns, cells, strict=True)))
