"""Watching a job over a websocket or server-sent events, from any offset, on any replica."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Query, WebSocket
from fastapi.responses import StreamingResponse
from starlette.websockets import WebSocketDisconnect

from services.api.dependencies import BearerKey
from services.api.routes.parameters import JobIdPath
from services.api.use_cases.cursor import Cursor
from services.api.use_cases.following import STILL_WAITING, Following, FollowJob
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

    async def opened(
        job_id: JobIdPath,
        caller: Annotated[Caller, Depends(key)],
        after_offset: Offset = 0,
        after_attempt: Attempt = None,
    ) -> AsyncIterator[Following]:
        cursor = Cursor(JobId(job_id), offset=after_offset, attempt=after_attempt)
        async with follow_job.open(caller.user_id, JobId(job_id), cursor) as following:
            yield following

    @router.websocket("/v1/jobs/{job_id}/events")
    async def watch(websocket: WebSocket, following: Annotated[Following, Depends(opened)]) -> None:
        await websocket.accept()
        await _serve(websocket, following)

    @router.get(
        "/v1/jobs/{job_id}/events",
        response_class=StreamingResponse,
        responses={200: {"content": {"text/event-stream": {}}}},
    )
    async def stream(following: Annotated[Following, Depends(opened)]) -> StreamingResponse:
        """Watch a job as server-sent events; the same address takes a websocket."""
        return StreamingResponse(
            _server_sent(following), media_type="text/event-stream", headers=_SSE_HEADERS
        )

    return router


async def _server_sent(following: Following) -> AsyncIterator[bytes]:
    async for event in following.events():
        if event is STILL_WAITING:
            yield b": still waiting\n\n"
        else:
            yield b"event: %b\ndata: %b\n\n" % (event.type.encode(), event.body)


async def _serve(websocket: WebSocket, following: Following) -> None:
    """Send until the job ends, the client leaves, or the server stops."""
    sending = asyncio.create_task(_send(websocket, following))
    leaving = asyncio.create_task(_until_gone(websocket))
    try:
        await asyncio.wait({sending, leaving}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        leaving.cancel()
        if not sending.done():
            sending.cancel()
        with suppress(WebSocketDisconnect, asyncio.CancelledError):
            await sending


async def _send(websocket: WebSocket, following: Following) -> None:
    async for event in following.events():
        if event is not STILL_WAITING:
            await websocket.send_text(event.body.decode())
    with suppress(RuntimeError):
        # A stopping server may have closed the connection before us.
        await websocket.close(_CLOSE_NORMAL if following.is_over else _CLOSE_RESTART)


async def _until_gone(websocket: WebSocket) -> None:
    """Return when the client has left; whatever it sends is ignored."""
    while True:
        message = await websocket.receive()
        if message["type"] == "websocket.disconnect":
            return
