"""Documents into a collection, and answers out of it."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from services.api.dependencies import BearerKey, BodyReader
from services.api.routes.answers import answer, body_of
from services.api.routes.parameters import CollectionName, IngestionIdPath
from services.api.schemas.collections import (
    IngestionAccepted,
    IngestionBody,
    Matches,
    ingestion_body,
    matches_body,
)
from services.api.schemas.requests import DocumentsBody, SearchBody
from services.api.use_cases.collections import Collections
from services.api.use_cases.ingest_documents import IngestDocuments
from services.api.use_cases.search import Search
from shared.domain.access import Caller
from shared.domain.ids import IngestionId


def create_ingestion_router(
    *, collections: Collections, ingest: IngestDocuments, key: BearerKey, bodies: BodyReader
) -> APIRouter:
    """Return the routes that take documents in."""
    router = APIRouter(tags=["collections"])

    @router.post(
        "/v1/collections/{name}/documents",
        status_code=202,
        response_model=IngestionAccepted,
        openapi_extra=body_of(DocumentsBody),
    )
    async def add_documents(
        request: Request, name: CollectionName, caller: Annotated[Caller, Depends(key)]
    ) -> Response:
        """Queue documents for embedding; 202 means durable."""
        body = await bodies.read(request, DocumentsBody)
        ingestion_id = await ingest(caller, name, body.documents)
        return answer(IngestionAccepted(ingestion_id=ingestion_id), 202)

    @router.get("/v1/ingestions/{ingestion_id}", response_model=IngestionBody)
    async def get_ingestion(
        ingestion_id: IngestionIdPath, caller: Annotated[Caller, Depends(key)]
    ) -> Response:
        """Read how far an ingestion has come."""
        found = await collections.ingestion(caller, IngestionId(ingestion_id))
        return answer(ingestion_body(found))

    return router


def create_search_router(*, search: Search, key: BearerKey, bodies: BodyReader) -> APIRouter:
    """Return the route that searches."""
    router = APIRouter(tags=["collections"])

    @router.post(
        "/v1/collections/{name}/search", response_model=Matches, openapi_extra=body_of(SearchBody)
    )
    async def search_collection(
        request: Request, name: CollectionName, caller: Annotated[Caller, Depends(key)]
    ) -> Response:
        """Find the chunks most similar to a query, best first."""
        body = await bodies.read(request, SearchBody)
        return answer(matches_body(await search(caller, name, body)))

    return router
