"""Handing in jobs."""

from typing import Annotated, Final

from fastapi import APIRouter, Depends, Request, Response

from services.api.dependencies import BearerKey, BodyReader, IdempotencyKey
from services.api.routes.answers import answer, body_of
from services.api.schemas.chat import ChatJobBody
from services.api.schemas.jobs import JobAccepted
from services.api.schemas.requests import EmbeddingsJobBody
from services.api.use_cases.submit_chat import SubmitChat
from services.api.use_cases.submit_embeddings import SubmitEmbeddings
from shared.domain.access import Caller

_CHAT_BODY: Final = body_of(ChatJobBody)
_TEXTS_BODY: Final = body_of(EmbeddingsJobBody)


def create_router(
    *,
    submit_chat: SubmitChat,
    submit_embeddings: SubmitEmbeddings,
    key: BearerKey,
    bodies: BodyReader,
) -> APIRouter:
    """Return the routes that accept jobs; 202 means durable."""
    router = APIRouter(tags=["jobs"])

    @router.post(
        "/v1/chat/jobs", status_code=202, response_model=JobAccepted, openapi_extra=_CHAT_BODY
    )
    async def submit_chat_job(
        request: Request,
        caller: Annotated[Caller, Depends(key)],
        idempotency_key: IdempotencyKey = None,
    ) -> Response:
        """Queue a chat; watch it at `links.events`, read it at `links.self`."""
        body = await bodies.read(request, ChatJobBody)
        return answer(await submit_chat(caller, body, idempotency_key), 202)

    @router.post(
        "/v1/embeddings/jobs",
        status_code=202,
        response_model=JobAccepted,
        openapi_extra=_TEXTS_BODY,
    )
    async def submit_embeddings_job(
        request: Request,
        caller: Annotated[Caller, Depends(key)],
        idempotency_key: IdempotencyKey = None,
    ) -> Response:
        """Queue texts for embedding; the vectors are the job's result."""
        body = await bodies.read(request, EmbeddingsJobBody)
        return answer(await submit_embeddings(caller, body, idempotency_key), 202)

    return router
