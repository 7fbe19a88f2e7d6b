"""OpenAI's API: its unmodified clients work, and each call is a job."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Path, Request, Response
from starlette.types import Receive, Scope, Send

from services.api.dependencies import BearerKey, BodyReader, IdempotencyKey
from services.api.routes.answers import answer, body_of, raw_answer
from services.api.routes.job_events import leaving_with
from services.api.schemas.openai import (
    ChatCompletionBody,
    EmbeddingsBody,
    ModelBody,
    ModelListBody,
)
from services.api.use_cases.completions import Completions, OfferedModels, frames_of, last_frame
from services.api.use_cases.openai_shapes import (
    DONE,
    Answering,
    about_headers,
    embeddings_body,
    error_body,
)
from shared.domain.access import Caller
from shared.messages.frames import Frame, JobCompleted, JobDelta

_STREAM_HEADERS: Final = {"cache-control": "no-store", "x-accel-buffering": "no"}
_NO_RETRY: Final = {"x-should-retry": "false"}
_FAILED, _STOPPED = 502, 503
ModelPath = Annotated[str, Path(pattern=r"^[\x21-\x7e]{1,256}$")]


def create_router(
    *, completions: Completions, models: OfferedModels, key: BearerKey, bodies: BodyReader
) -> APIRouter:
    """Return OpenAI's routes."""
    router = APIRouter(tags=["openai"])
    _add_calls(router, completions, key, bodies)

    @router.get("/v1/models", response_model=ModelListBody)
    async def list_models(caller: Annotated[Caller, Depends(key)]) -> Response:
        """List the models that may be asked for."""
        return answer(models.all(caller))

    @router.get("/v1/models/{model:path}", response_model=ModelBody)
    async def show_model(model: ModelPath, caller: Annotated[Caller, Depends(key)]) -> Response:
        """Show a model that may be asked for."""
        return answer(models.one(caller, model))

    return router


def _add_calls(
    router: APIRouter, completions: Completions, key: BearerKey, bodies: BodyReader
) -> None:
    @router.post(
        "/v1/chat/completions", response_class=Response, openapi_extra=body_of(ChatCompletionBody)
    )
    async def complete_chat(
        request: Request,
        caller: Annotated[Caller, Depends(key)],
        idempotency_key: IdempotencyKey = None,
    ) -> Response:
        """Complete a chat, whole or as a stream of chunks."""
        body = await bodies.read(request, ChatCompletionBody)
        answering = await completions.chat(caller, body, idempotency_key)
        if body.stream:
            return _Stream(completions, caller, answering)

        async def whole(frame: JobCompleted) -> bytes:
            return answering.whole(frame)

        return await _answered(completions, request, caller, answering.job_id, whole)

    @router.post("/v1/embeddings", response_class=Response, openapi_extra=body_of(EmbeddingsBody))
    async def embed(
        request: Request,
        caller: Annotated[Caller, Depends(key)],
        idempotency_key: IdempotencyKey = None,
    ) -> Response:
        """Embed texts."""
        body = await bodies.read(request, EmbeddingsBody)
        job = await completions.embeddings(caller, body, idempotency_key)
        as_base64 = body.encoding_format == "base64"

        async def whole(frame: JobCompleted) -> bytes:
            vectors = await completions.vectors(job.id)
            return embeddings_body(frame, vectors, as_base64=as_base64)

        return await _answered(completions, request, caller, job.id, whole)


async def _answered(
    completions: Completions,
    request: Request,
    caller: Caller,
    job_id: str,
    whole: Callable[[JobCompleted], Awaitable[bytes]],
) -> Response:
    """Return the job's result once it is there."""
    async with (
        completions.follow(caller, job_id) as following,
        leaving_with(following, request.receive),
    ):
        frame = await last_frame(following)
    if isinstance(frame, JobCompleted):
        response = raw_answer(await whole(frame))
        response.headers.update(about_headers(frame))
        return response
    await completions.ended(caller, job_id, following)
    response = raw_answer(error_body(job_id, frame), _STOPPED if frame is None else _FAILED)
    response.headers.update({"x-sluiceway-job-id": job_id, **_NO_RETRY})
    return response


class _Stream(Response):
    """Chunks of a completion, sent as they come."""

    media_type = "text/event-stream"

    def __init__(self, completions: Completions, caller: Caller, answering: Answering) -> None:
        super().__init__(headers={**_STREAM_HEADERS, "x-sluiceway-job-id": answering.job_id})
        del self.headers["content-length"]
        self._completions = completions
        self._caller = caller
        self._answering = answering

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send until the job ends, the client leaves, or the server stops."""
        del scope
        job_id = self._answering.job_id
        start = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
        async with (
            self._completions.follow(self._caller, job_id) as following,
            leaving_with(following, receive),
        ):
            await send(start)
            await _body(send, self._answering.opening())
            async for frame in frames_of(following):
                await _body(send, self._chunk(frame))
        if not following.is_over:
            await _body(send, _event(error_body(job_id, None)))
        await send({"type": "http.response.body", "body": b""})
        await self._completions.ended(self._caller, job_id, following)

    def _chunk(self, frame: Frame | None) -> bytes:
        match frame:
            case None:
                return b": still waiting\n\n"
            case JobDelta():
                return self._answering.piece(frame)
            case JobCompleted():
                return self._answering.ending(frame)
            case _:
                return _ended(self._answering.job_id, frame)


def _ended(job_id: str, frame: Frame) -> bytes:
    """Return the error of a job that ended without a result; nothing while it goes on."""
    error = error_body(job_id, frame)
    return _event(error) if error else b""


def _event(error: bytes) -> bytes:
    return b"data: " + error + b"\n\n" + DONE


async def _body(send: Send, body: bytes) -> None:
    if body:
        await send({"type": "http.response.body", "body": body, "more_body": True})
