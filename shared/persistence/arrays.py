"""Rows as one array per column: how a statement takes a whole batch in one round trip."""

from collections.abc import Mapping, Sequence


class Batch:
    """A batch's columns with their PostgreSQL types, usable as a table in a statement.

    Args:
        columns: PostgreSQL type by column name, in the order of a row's values.
    """

    def __init__(self, **columns: str) -> None:
        self._types = columns

    def table(self, alias: str) -> str:
        """Return the SQL of the batch as a table `alias` with a 1-based column `position`."""
        arrays = ", ".join(f"CAST(:{name} AS {kind}[])" for name, kind in self._types.items())
        names = ", ".join(self._types)
        return f"unnest({arrays}) WITH ORDINALITY AS {alias}({names}, position)"

    def parameters(self, rows: Sequence[Sequence[object]]) -> Mapping[str, list[object]]:
        """Return the statement's parameters for `rows`, whose values follow the columns' order."""
        return {name: [row[index] for row in rows] for index, name in enumerate(self._types)}
