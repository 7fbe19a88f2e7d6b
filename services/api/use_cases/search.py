"""Searches a collection: the query is embedded by a job like any other text, in the space searched.

So that a search, too, is queued, paid for and on the ledger.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Protocol

from services.api.schemas.requests import SearchBody
from services.api.use_cases.collections import Collections, declared_space
from services.api.use_cases.embed_jobs import EmbedJobs, EmbedOrder
from services.api.use_cases.refusals import RefusalCode, RefusedError
from services.api.use_cases.results import StoredEmbeddings
from services.api.use_cases.submitting import Acceptance
from shared.domain.access import Caller
from shared.domain.collections import Match
from shared.domain.embedding_space import EmbeddingSpace
from shared.domain.gates import EMBED_INTERACTIVE
from shared.domain.ids import JobId, UserId
from shared.domain.jobs import JobKind
from shared.ports.embeddings import VectorStore

_RETRY_AFTER = timedelta(seconds=5)


class JobEnds(Protocol):
    """Tells when a job is over."""

    async def ended(self, job_id: JobId, user_id: UserId, patience: timedelta) -> bool:
        """Return whether the job ended within `patience`, in whatever way."""
        ...


class Search:
    """Finds the chunks nearest to a query."""

    def __init__(
        self,
        collections: Collections,
        query_vectors: "QueryVectors",
        vectors: VectorStore,
    ) -> None:
        self._collections = collections
        self._query_vectors = query_vectors
        self._vectors = vectors

    async def __call__(self, caller: Caller, name: str, request: SearchBody) -> Sequence[Match]:
        """Return at most `request.k` matches, best first.

        Raises:
            RefusedError: There is no such collection, or the query was not embedded in time.
        """
        collection = await self._collections.get(caller, name)
        space = declared_space(collection)
        query = await self._query_vectors.of(caller, space, request.query)
        return await self._vectors.search(collection.id, space, query, request.k)


class QueryVectors:
    """Embeds one text through the queue and waits for its vector."""

    def __init__(
        self,
        acceptance: Acceptance,
        embed_jobs: EmbedJobs,
        ends: JobEnds,
        embeddings: StoredEmbeddings,
        patience: timedelta,
    ) -> None:
        self._acceptance = acceptance
        self._embed_jobs = embed_jobs
        self._ends = ends
        self._embeddings = embeddings
        self._patience = patience

    async def of(self, caller: Caller, space: EmbeddingSpace, text: str) -> bytes:
        """Return the text's vector in `space`, little-endian float32.

        Raises:
            RefusedError: The queue is closed, or there is no vector in time.
        """
        job = self._embed_jobs.new(
            EmbedOrder(
                caller=caller,
                kind=JobKind.EMBED,
                queue=EMBED_INTERACTIVE,
                texts=[text],
                model=space.model,
                deadline=self._acceptance.clock.now() + self._patience,
            )
        )
        await self._acceptance.accept(job)
        if await self._ends.ended(job.id, caller.user_id, self._patience):
            found = await self._embeddings.results(job.id)
            if found is not None and found[0].id == space.id and 0 in found[1]:
                return found[1][0]
        raise RefusedError(
            RefusalCode.UNAVAILABLE,
            f"the query could not be embedded now; job {job.id} says why",
            retry_after=_RETRY_AFTER,
        )
