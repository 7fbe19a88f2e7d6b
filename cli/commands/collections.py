"""`sluiceway ingest` and `sluiceway search`: documents in, nearest texts out."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from cli.api_client import ApiClient, ApiFailedError, JsonObject
from cli.options import common
from cli.output import failures_in_one_line, print_fields, print_json, print_table, rows_of

_ENDED = frozenset({"completed", "completed_with_failures", "cancelled", "failed"})
_POLL_SECONDS = 0.5


def ingest(
    context: typer.Context,
    collection: str,
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="JSON lines.")],
    wait: Annotated[bool, typer.Option("--wait", help="Until all is embedded.")] = False,
) -> None:
    """Embed the documents of a JSON-lines file into a collection, made if it is not there."""
    options = common(context)
    with failures_in_one_line():
        client = options.user()
        client.send("PUT", f"/v1/collections/{collection}", {})
        accepted = client.upload(f"/v1/collections/{collection}/documents", _lines(file))
        if wait:
            accepted = asyncio.run(_until_ended(client, accepted, quiet=options.as_json))
    if options.as_json:
        print_json(accepted)
    else:
        print_fields(accepted)
    if accepted.get("status") in {"cancelled", "failed"}:
        raise typer.Exit(1)


def search(
    context: typer.Context,
    collection: str,
    query: str,
    k: Annotated[int, typer.Option("-k", min=1, max=100, help="How many matches.")] = 5,
) -> None:
    """Find the texts of a collection that are nearest to a query."""
    options = common(context)
    with failures_in_one_line():
        path = f"/v1/collections/{collection}/search"
        answer = options.user().send("POST", path, {"query": query, "k": k})
    if options.as_json:
        print_json(answer)
    else:
        print_table(rows_of(answer, "matches"), ("score", "document_id", "chunk", "text"))


def _lines(file: Path) -> Iterator[bytes]:
    with file.open("rb") as content:
        yield from content


async def _until_ended(client: ApiClient, accepted: JsonObject, *, quiet: bool) -> JsonObject:
    ingestion_id = accepted.get("ingestion_id")
    if not isinstance(ingestion_id, str):
        raise ApiFailedError("the API named no ingestion to wait for")
    columns = (TextColumn("embedding"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), disable=quiet) as progress:
        bar = progress.add_task("embedding", total=None)
        while True:
            state = client.get(f"/v1/ingestions/{ingestion_id}")
            done = sum(_count(state, name) for name in ("embedded", "deduplicated", "failed"))
            progress.update(bar, total=_count(state, "chunks") or None, completed=done)
            if state.get("status") in _ENDED:
                return state
            await asyncio.sleep(_POLL_SECONDS)


def _count(state: JsonObject, name: str) -> int:
    value = state.get(name)
    return value if isinstance(value, int) else 0
