"""The caller's collections: created, read, changed, deleted."""

from collections.abc import Sequence

from services.api.schemas.requests import CollectionBody
from services.api.use_cases.refusals import RefusalCode, RefusedError, not_found
from shared.domain.access import Caller
from shared.domain.catalog import Operation, Tier
from shared.domain.collections import Collection, IngestionView
from shared.domain.embedding_space import SPACES, EmbeddingSpace, space_of
from shared.domain.errors import UnknownModelError
from shared.domain.ids import CollectionId, IngestionId
from shared.domain.routing import AUTO, RoutingTable, candidates
from shared.ports.clock import Clock, Ids
from shared.ports.embeddings import CollectionRepository


class Collections:
    """Collections by name, each seen by its owner only."""

    def __init__(
        self, repository: CollectionRepository, routing: RoutingTable, ids: Ids, clock: Clock
    ) -> None:
        self._repository = repository
        self._routing = routing
        self._ids = ids
        self._clock = clock

    async def put(self, caller: Caller, name: str, request: CollectionBody) -> Collection:
        """Create the collection, or change what happens on fallback; safe to repeat.

        Raises:
            RefusedError: The model is not on offer, or the collection embeds with another one.
        """
        space = self._space(caller.tier, request.embedding)
        wanted = Collection(
            id=CollectionId(self._ids.new("col")),
            user_id=caller.user_id,
            name=name,
            space_id=space.id,
            on_fallback=request.on_fallback,
            created_at=self._clock.now(),
        )
        found = await self._repository.put(wanted)
        if request.embedding != AUTO and found.space_id != space.id:
            raise RefusedError(
                RefusalCode.EMBEDDING_FIXED,
                f"collection {name!r} embeds with {declared_space(found).model}; "
                "delete it first, or choose another name",
                param="embedding",
            )
        if found.on_fallback is request.on_fallback:
            return found
        await self._repository.set_on_fallback(found.id, request.on_fallback)
        return await self.get(caller, name)

    async def get(self, caller: Caller, name: str) -> Collection:
        """Return the collection.

        Raises:
            RefusedError: There is none of that name.
        """
        found = await self._repository.get(caller.user_id, name)
        if found is None:
            raise not_found("collection", name)
        return found

    async def all(self, caller: Caller) -> Sequence[Collection]:
        """Return the caller's collections by name."""
        return await self._repository.all(caller.user_id)

    async def delete(self, caller: Caller, name: str) -> None:
        """Delete the collection with its documents.

        Raises:
            RefusedError: There is none of that name.
        """
        if not await self._repository.delete(caller.user_id, name):
            raise not_found("collection", name)

    async def ingestion(self, caller: Caller, ingestion_id: IngestionId) -> IngestionView:
        """Return how far an ingestion has come.

        Raises:
            RefusedError: There is none of that id.
        """
        found = await self._repository.ingestion(ingestion_id, caller.user_id)
        if found is None:
            raise not_found("ingestion", ingestion_id)
        return found

    def _space(self, tier: Tier, model: str) -> EmbeddingSpace:
        try:
            first = candidates(self._routing, tier, Operation.EMBED, model, in_rollout=True)[0]
        except UnknownModelError as error:
            raise RefusedError(
                RefusalCode.MODEL_NOT_FOUND, str(error), param="embedding"
            ) from error
        return space_of(first.provider, first.model)


def declared_space(collection: Collection) -> EmbeddingSpace:
    """Return the space that a collection's vectors live in."""
    return next(space for space in SPACES if space.id == collection.space_id)
