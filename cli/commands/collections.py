"""`sluiceway ingest` and `sluiceway search`: documents in, nearest texts out."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from cli.api_client import ApiClient, JsonObject
from cli.documents_file import document_pages
from cli.ingesting import until_ended
from cli.options import global_options
from cli.output import failures_in_one_line, print_fields, print_json, print_table, rows_of


def ingest(
    context: typer.Context,
    collection: str,
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="JSON lines.")],
    wait: Annotated[bool, typer.Option("--wait", help="Until all is embedded.")] = False,
) -> None:
    """Embed the documents of a JSON-lines file into a collection, made if it is not there."""
    options = global_options(context)
    with failures_in_one_line():
        client = options.user()
        client.send("PUT", f"/v1/collections/{collection}", {})
        ids = [_submit(client, collection, page) for page in document_pages(file)]
        result: JsonObject = {"ingestions": [*ids]}
        if wait:
            result = asyncio.run(until_ended(client, ids, quiet=options.as_json))
    if options.as_json:
        print_json(result)
    else:
        print_fields(result)
    if result.get("status") in {"cancelled", "failed"}:
        raise typer.Exit(1)


def search(
    context: typer.Context,
    collection: str,
    query: str,
    k: Annotated[int, typer.Option("-k", min=1, max=100, help="How many matches.")] = 5,
) -> None:
    """Find the texts of a collection that are nearest to a query."""
    options = global_options(context)
    with failures_in_one_line():
        path = f"/v1/collections/{collection}/search"
        answer = options.user().send("POST", path, {"query": query, "k": k})
    if options.as_json:
        print_json(answer)
    else:
        print_table(rows_of(answer, "matches"), ("score", "document_id", "chunk", "text"))


def _submit(client: ApiClient, collection: str, page: list[JsonObject]) -> str:
    path = f"/v1/collections/{collection}/documents"
    return str(client.send("POST", path, {"documents": [*page]})["ingestion_id"])
