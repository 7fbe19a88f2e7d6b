"""Rows as one JSON document: how a hot statement takes a whole batch as a single parameter.

Twenty columns as twenty arrays cost the client three times as much as one document
(measured 2026-11: 0.45 ms of CPU against 0.14 ms for two rows).
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from decimal import Decimal

import orjson


class JsonBatch:
    """A batch's columns with their PostgreSQL types, usable as a table in a statement.

    Args:
        parameter: The statement's parameter that takes the document.
        columns: PostgreSQL type by column name, in the order of a row's values.
    """

    def __init__(self, parameter: str, /, **columns: str) -> None:
        self._parameter = parameter
        self._types = columns

    @property
    def columns(self) -> Sequence[str]:
        """Return the columns' names in order."""
        return tuple(self._types)

    def table(self, alias: str) -> str:
        """Return the SQL of the batch as a table `alias` with a 1-based column `position`."""
        columns = ", ".join(f"{name} {kind}" for name, kind in self._types.items())
        names = ", ".join(self._types)
        document = f"json_to_recordset(CAST(:{self._parameter} AS json)) AS ({columns})"
        return f"ROWS FROM ({document}) WITH ORDINALITY AS {alias}({names}, position)"

    def parameters(self, rows: Sequence[Sequence[object]]) -> Mapping[str, str]:
        """Return the statement's parameter for `rows`, whose values follow the columns' order."""
        document = [dict(zip(self._types, row, strict=True)) for row in rows]
        return {self._parameter: orjson.dumps(document, default=_plain).decode()}


def _plain(value: object) -> str | float:
    match value:
        case Decimal():
            return str(value)
        case bytes():
            return f"\\x{value.hex()}"
        case timedelta():
            return f"{value.total_seconds()} seconds"
        case _:
            raise TypeError(f"no column takes a {type(value).__name__}")
