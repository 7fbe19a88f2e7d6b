"""Accepts documents into a collection, cut into jobs that one provider call can embed.

Invariant: every document is in exactly one slice, and everything is committed together.
"""

from collections.abc import Sequence
from dataclasses import replace

import orjson

from services.api.schemas.requests import DocumentBody
from services.api.use_cases.collections import Collections, declared_space
from services.api.use_cases.embed_jobs import EmbedJobs, EmbedOrder
from services.api.use_cases.refusals import invalid
from services.api.use_cases.submitting import Acceptance
from shared.domain.access import Caller
from shared.domain.batching import BGE_M3_LIMITS, OPENAI_EMBEDDING_LIMITS, PackingLimits, pack
from shared.domain.catalog import CLOUDFLARE, OPENAI, Provider
from shared.domain.collections import Collection, IngestionSlice, NewChunk, NewIngestion
from shared.domain.gates import EMBED_BULK
from shared.domain.ids import IngestionId
from shared.domain.jobs import JobKind
from shared.domain.tokens import estimated_tokens
from shared.ports.clock import Clock, Ids
from shared.ports.embeddings import CollectionRepository

_SLICE_TEXTS = 96
_LIMITS: dict[Provider, PackingLimits] = {
    CLOUDFLARE: replace(BGE_M3_LIMITS, max_texts=_SLICE_TEXTS),
    OPENAI: replace(OPENAI_EMBEDDING_LIMITS, max_texts=_SLICE_TEXTS),
}


class IngestDocuments:
    """Commits documents with the jobs that embed them; a known document id replaces its text."""

    def __init__(
        self,
        collections: Collections,
        repository: CollectionRepository,
        acceptance: Acceptance,
        cutter: "SliceCutter",
    ) -> None:
        self._collections = collections
        self._repository = repository
        self._acceptance = acceptance
        self._cutter = cutter

    async def __call__(
        self, caller: Caller, name: str, documents: Sequence[DocumentBody]
    ) -> IngestionId:
        """Return the ingestion's id once the documents are durable.

        Raises:
            RefusedError: There is no such collection, an id comes twice, or the queue is closed.
        """
        collection = await self._collections.get(caller, name)
        _require_distinct(documents)
        await self._acceptance.gates.admit(EMBED_BULK, caller)
        ingestion = self._cutter.cut(caller, collection, documents)
        self._acceptance.flush.add(await self._repository.ingest(ingestion))
        for one in ingestion.slices:
            self._acceptance.on_accepted(one.job.queue)
        return ingestion.id


class SliceCutter:
    """Cuts documents into slices of similar length; one chunk per document."""

    def __init__(self, embed_jobs: EmbedJobs, ids: Ids, clock: Clock) -> None:
        self._embed_jobs = embed_jobs
        self._ids = ids
        self._clock = clock

    def cut(
        self, caller: Caller, collection: Collection, documents: Sequence[DocumentBody]
    ) -> NewIngestion:
        """Return the ingestion with one job per slice."""
        limits = _LIMITS[declared_space(collection).provider]
        # The estimate lies above the truth; a text it takes for too long is let through alone.
        tokens = [min(estimated_tokens(one.text), limits.max_text_tokens) for one in documents]
        return NewIngestion(
            id=IngestionId(self._ids.new("ing")),
            collection=collection,
            documents=len(documents),
            slices=[
                self._slice(caller, collection, [(documents[i], tokens[i]) for i in batch])
                for batch in pack(tokens, limits)
            ],
            created_at=self._clock.now(),
        )

    def _slice(
        self,
        caller: Caller,
        collection: Collection,
        documents: Sequence[tuple[DocumentBody, int]],
    ) -> IngestionSlice:
        order = EmbedOrder(
            caller=caller,
            kind=JobKind.INGEST,
            queue=EMBED_BULK,
            texts=[document.text for document, _ in documents],
            model=declared_space(collection).model,
        )
        chunks = [
            NewChunk(
                document_id=document.id or self._ids.new("doc"),
                ordinal=0,
                position=position,
                text=document.text,
                tokens=tokens,
                metadata_json=_json(document.metadata),
            )
            for position, (document, tokens) in enumerate(documents)
        ]
        return IngestionSlice(self._embed_jobs.new(order), chunks)


def _json(value: object) -> str | None:
    return None if value is None else orjson.dumps(value).decode()


def _require_distinct(documents: Sequence[DocumentBody]) -> None:
    seen: set[str] = set()
    for position, document in enumerate(documents):
        if document.id is None:
            continue
        if document.id in seen:
            raise invalid(f"documents.{position}.id", "this id comes twice in the request")
        seen.add(document.id)
