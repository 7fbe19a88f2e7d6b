"""The bill on disk: one JSON line per state of a row, only ever appended to.

Invariant: each append is one write to the operating system, so a killed simulator loses at most a
line it was writing; that torn line is cut off at the next start.
"""

import os
from collections.abc import Iterable
from pathlib import Path

import orjson

from simulator.bill_row import BillRow, from_json
from simulator.json_values import decode_object


class BillFile:
    """An open bill file; the folder is made if it is missing."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)

    def read(self) -> dict[str, BillRow]:
        """Return the last state of each row by call id, in the order they were first written."""
        content = self._path.read_bytes()
        whole = content.rfind(b"\n") + 1
        os.ftruncate(self._descriptor, whole)
        lines = (decode_object(line) for line in content[:whole].splitlines())
        rows = (from_json(line) for line in lines if line is not None)
        return {row.call_id: row for row in rows}

    def append(self, rows: Iterable[BillRow]) -> None:
        """Write the rows' present states."""
        os.write(self._descriptor, b"".join(orjson.dumps(row.to_json()) + b"\n" for row in rows))

    def empty(self) -> None:
        """Remove every line."""
        os.ftruncate(self._descriptor, 0)

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)
