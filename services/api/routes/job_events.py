"""Watching a job over a websocket or server-sent events, from any offset, on any replica."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Query, Response, WebSocket
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocketDisconnect

from services.api.dependencies import BearerKey
from services.api.routes.parameters import JobIdPath
from services.api.use_cases.cursor import Cursor
from services.api.use_cases.following import STILL_WAITING, Event, Following, FollowJob
from shared.domain.access import Caller
from shared.domain.ids import JobId

_CLOSE_NORMAL: Final = 1000
_CLOSE_RESTART: Final = 1012
_SSE_HEADERS: Final = {"cache-control": "no-store", "x-accel-buffering": "no"}

Offset = Annotated[int, Query(ge=0, le=2**31 - 1, description="Code points already received.")]
Attempt = Annotated[int | None, Query(ge=1, le=2**31 - 1, description="Default: the current one.")]


def create_router(*, follow_job: FollowJob, key: BearerKey) -> APIRouter:
    """Return the event routes; the connection closes after the job's last frame."""
    router = APIRouter(tags=["jobs"])

    @router.websocket("/v1/jobs/{job_id}/events")
    async def watch(
        websocket: WebSocket,
        job_id: JobIdPath,
        caller: Annotated[Caller, Depends(key)],
        after_offset: Offset = 0,
        after_attempt: Attempt = None,
    ) -> None:
        cursor = Cursor(JobId(job_id), offset=after_offset, attempt=after_attempt)
        async with follow_job.open(caller.user_id, JobId(job_id), cursor) as following:
            await websocket.accept()
            async with leaving_with(following, websocket.receive):
                await _send(websocket, following)

    @router.get(
        "/v1/jobs/{job_id}/events",
        response_class=Response,
        responses={200: {"content": {"text/event-stream": {}}}},
    )
    async def stream(
        job_id: JobIdPath,
        caller: Annotated[Caller, Depends(key)],
        after_offset: Offset = 0,
        after_attempt: Attempt = None,
    ) -> Response:
        """Watch a job as server-sent events; the same address takes a websocket."""
        cursor = Cursor(JobId(job_id), offset=after_offset, attempt=after_attempt)
        return _ServerSentEvents(follow_job.open(caller.user_id, JobId(job_id), cursor))

    return router


class _ServerSentEvents(Response):
    """Events as they come; refused like any request while the first has not been sent.

    Starlette's own streaming response costs three times as much for a short stream.
    """

    def __init__(self, opening: AbstractAsyncContextManager[Following]) -> None:
        super().__init__(media_type="text/event-stream", headers=_SSE_HEADERS)
        del self.headers["content-length"]
        self._opening = opening

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        """Send until the job ends, the client leaves, or the server stops."""
        async with self._opening as following, leaving_with(following, receive):
            await send(
                {
                    "type": "http.response.start",
                    "status": self.status_code,
                    "headers": self.raw_headers,
                }
            )
            more = True
            async for events in following.events():
                body, more = b"".join(map(_server_sent, events)), not following.is_over
                await send({"type": "http.response.body", "body": body, "more_body": more})
            if more:
                await send({"type": "http.response.body", "body": b""})


def _server_sent(event: Event) -> bytes:
    if event is STILL_WAITING:
        return b": still waiting\n\n"
    return b"event: %b\ndata: %b\n\n" % (event.type.encode(), event.body)


async def _send(websocket: WebSocket, following: Following) -> None:
    """Send until the job ends, the client leaves, or the server stops."""
    with suppress(RuntimeError, WebSocketDisconnect):
        # The client, or a stopping server, may have closed the connection before us.
        async for events in following.events():
            for event in events:
                if event is not STILL_WAITING:
                    await websocket.send_text(event.body.decode())
        await websocket.close(_CLOSE_NORMAL if following.is_over else _CLOSE_RESTART)


@asynccontextmanager
async def leaving_with(following: Following, receive: Receive) -> AsyncGenerator[None]:
    """End the events when the client leaves; whatever it sends is ignored."""

    async def wait() -> None:
        while not (await receive())["type"].endswith(".disconnect"):
            pass
        following.leave()

    waiting = asyncio.create_task(wait())
    try:
        yield
    finally:
        waiting.cancel()
