"""Collections by name."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from services.api.dependencies import BearerKey, BodyReader
from services.api.routes.answers import answer, body_of
from services.api.routes.parameters import CollectionName
from services.api.schemas.collections import CollectionList, CollectionView, collection_view
from services.api.schemas.requests import CollectionBody
from services.api.use_cases.collections import Collections, declared_space
from shared.domain.access import Caller
from shared.domain.collections import Collection


def create_router(*, collections: Collections, key: BearerKey, bodies: BodyReader) -> APIRouter:
    """Return the routes over the caller's collections."""
    router = APIRouter(tags=["collections"])
    path = "/v1/collections/{name}"

    @router.put(path, response_model=CollectionView, openapi_extra=_OPTIONAL_BODY)
    async def put_collection(
        request: Request, name: CollectionName, caller: Annotated[Caller, Depends(key)]
    ) -> Response:
        """Create a collection, or change what it does on fallback."""
        body = await bodies.read(request, CollectionBody, empty=b"{}")
        return answer(_view(await collections.put(caller, name, body)))

    @router.get(path, response_model=CollectionView)
    async def get_collection(
        name: CollectionName, caller: Annotated[Caller, Depends(key)]
    ) -> Response:
        """Read a collection."""
        return answer(_view(await collections.get(caller, name)))

    @router.delete(path, status_code=204)
    async def delete_collection(
        name: CollectionName, caller: Annotated[Caller, Depends(key)]
    ) -> None:
        """Delete a collection with its documents."""
        await collections.delete(caller, name)

    @router.get("/v1/collections", response_model=CollectionList)
    async def list_collections(caller: Annotated[Caller, Depends(key)]) -> Response:
        """List the caller's collections by name."""
        return answer(CollectionList(data=[_view(one) for one in await collections.all(caller)]))

    return router


_OPTIONAL_BODY = body_of(CollectionBody, required=False)


def _view(collection: Collection) -> CollectionView:
    return collection_view(collection, declared_space(collection))
