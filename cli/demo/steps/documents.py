"""Step 3: a thousand real documents into a collection, and searches that find them."""

import asyncio
import time

from cli.api_client import JsonObject
from cli.demo.answers import Collection, Ingestion, IngestionAccepted, Match, Matches
from cli.demo.documents import Document, library_documents
from cli.demo.eventually import eventually
from cli.demo.failure import require
from cli.demo.formatting import one_line, usd
from cli.demo.stage import Stage

_DOCUMENTS = 1_000
_COLLECTION = "/v1/collections/demo"
_WITHIN_SECONDS = 60.0
_SEARCHES = (
    "run blocking work in a pool of threads",
    "insert an item into a sorted list",
    "parse command line arguments",
)
_MATCHES = 3
_TIE = 0.01
_FINISHED = {"completed", "completed_with_failures", "cancelled", "failed"}


async def show_documents(stage: Stage) -> None:
    """Embed the standard library's own documentation and search it.

    Raises:
        DemoFailedError: A document is missing, failed, or is not found by its own words.
    """
    stage.screen.step(3, f"{_DOCUMENTS:,} documents: what Python's library says about itself")
    documents = await asyncio.to_thread(library_documents, _DOCUMENTS)
    require(len(documents) == _DOCUMENTS, f"only {len(documents)} texts in this Python's library")
    collection = await stage.clients["paid"].send("PUT", _COLLECTION, Collection)
    started = time.monotonic()
    done = await _ingest(stage, documents)
    seconds = time.monotonic() - started
    embedded = done.embedded + done.deduplicated
    require(embedded == _DOCUMENTS, f"{embedded} of {_DOCUMENTS} embedded: {done}")
    stage.screen.fact(
        f"All embedded with {collection.embedding} ({collection.dimensions} dimensions) in "
        f"{seconds:.1f} s, {embedded / seconds:,.0f} a second, for {usd(done.cost_usd)}"
    )
    await _search(stage, documents)


async def _ingest(stage: Stage, documents: list[Document]) -> Ingestion:
    client = stage.clients["paid"]
    body: JsonObject = {"documents": [{"id": one.id, "text": one.text} for one in documents]}
    accepted = await client.send("POST", f"{_COLLECTION}/documents", IngestionAccepted, body)
    with stage.screen.progress("embedded", len(documents)) as show:

        async def look() -> Ingestion:
            seen = await client.get(f"/v1/ingestions/{accepted.ingestion_id}", Ingestion)
            show(seen.settled)
            return seen

        return await eventually(
            look,
            lambda seen: seen.status in _FINISHED,
            "the documents are embedded",
            within_seconds=_WITHIN_SECONDS,
        )


async def _search(stage: Stage, documents: list[Document]) -> None:
    rows = [(query, _shown((await _matches(stage, query))[0])) for query in _SEARCHES]
    stage.screen.table(
        ("search", ">score", "best match"), [(query, *found) for query, found in rows]
    )
    known = documents[len(documents) // 2]
    matches = await _matches(stage, known.text)
    score = next((one.score for one in matches if one.document_id == known.id), 0.0)
    # Texts of the same words in another order may tie with it.
    require(score > matches[0].score - _TIE, f"{known.id} is not found by its own text: {matches}")
    stage.screen.fact(f"A document is found by its own text: {known.id}, score {score:.2f}")


async def _matches(stage: Stage, query: str) -> tuple[Match, ...]:
    body: JsonObject = {"query": query, "k": _MATCHES}
    found = await stage.clients["paid"].send("POST", f"{_COLLECTION}/search", Matches, body)
    scores = [match.score for match in found.matches]
    require(len(scores) == _MATCHES, f"{query!r} found {len(scores)} of {_MATCHES} documents")
    require(scores == sorted(scores, reverse=True), f"{query!r}: matches are not best first")
    return found.matches


def _shown(match: Match) -> tuple[str, str]:
    return f"{match.score:.2f}", one_line(match.document_id, 28)
