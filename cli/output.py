"""Prints answers: a table for people, the untouched JSON for programs."""

import json
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager

import httpx
import typer
from pydantic import JsonValue
from rich.console import Console
from rich.table import Table

from cli.api_client import ApiFailedError, JsonObject
from cli.local_stack.leftovers import HomeInUseError
from cli.local_stack.plan import UnusablePlanError
from cli.local_stack.servers import ServerFailedError
from shared.domain.errors import SluicewayError

_WIDEST = 10_000
_KNOWN_FAILURES = (
    ApiFailedError,
    HomeInUseError,
    UnusablePlanError,
    ServerFailedError,
    SluicewayError,
    httpx.HTTPError,
    OSError,
)


@contextmanager
def failures_in_one_line() -> Generator[None]:
    """Turn a known failure into one line on stderr and exit status 1."""
    try:
        yield
    except _KNOWN_FAILURES as error:
        typer.echo(f"sluiceway: {error}", err=True)
        raise typer.Exit(1) from error


def print_json(value: JsonValue) -> None:
    """Print JSON on one line, as programs read it."""
    typer.echo(json.dumps(value, ensure_ascii=False))


def print_table(rows: Sequence[JsonObject], columns: Sequence[str]) -> None:
    """Print the named columns; a row may lack some."""
    table = Table(*columns, box=None, pad_edge=False)
    for row in rows:
        table.add_row(*(_cell(row.get(column)) for column in columns))
    # As wide as its cells: a number that is cut off is worse than a line that wraps.
    Console(soft_wrap=True, width=_WIDEST).print(table)


def print_fields(value: Mapping[str, JsonValue]) -> None:
    """Print one object, a field per line."""
    width = max((len(name) for name in value), default=0)
    for name, content in value.items():
        typer.echo(f"{name:<{width}}  {_cell(content)}")


def rows_of(answer: JsonObject, name: str = "data") -> list[JsonObject]:
    """Return the objects of a list answer."""
    listed = answer.get(name)
    return [row for row in listed if isinstance(row, dict)] if isinstance(listed, list) else []


def _cell(value: JsonValue) -> str:
    if value is None:
        return "-"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
