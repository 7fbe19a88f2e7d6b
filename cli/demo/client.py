"""A client of the HTTP and websocket API, as any other program would write one."""

from collections.abc import AsyncGenerator
from typing import TypeVar
from urllib.parse import urlsplit, urlunsplit

import httpx
from pydantic import BaseModel
from websockets.asyncio.client import connect

from cli.api_client import JsonObject
from cli.demo.failure import DemoFailedError
from shared.messages.frames import FRAME, TERMINAL_FRAMES, Frame

ShapeT = TypeVar("ShapeT", bound=BaseModel)


class Client:
    """Calls with one key; many may share one connection pool."""

    def __init__(self, http: httpx.AsyncClient, url: str, key: str = "") -> None:
        self._http = http
        self._url = url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}

    async def get(self, path: str, shape: type[ShapeT], **query: str) -> ShapeT:
        """Return the answer to a GET.

        Raises:
            DemoFailedError: The API refused.
        """
        answer = await self._http.get(self._url + path, params=query, headers=self._headers)
        return _read(answer, shape)

    async def send(
        self, method: str, path: str, shape: type[ShapeT], body: JsonObject | None = None
    ) -> ShapeT:
        """Return the answer to a call that changes something.

        Raises:
            DemoFailedError: The API refused.
        """
        address = self._url + path
        answer = await self._http.request(method, address, json=body, headers=self._headers)
        return _read(answer, shape)

    async def follow(self, job_id: str) -> AsyncGenerator[Frame]:
        """Yield a job's frames as they come over its websocket, the terminal one last.

        Raises:
            DemoFailedError: The connection ended before the job.
        """
        parts = urlsplit(self._url)
        scheme = "wss" if parts.scheme == "https" else "ws"
        address = urlunsplit(parts._replace(scheme=scheme, path=f"/v1/jobs/{job_id}/events"))
        async with connect(address, additional_headers=self._headers) as socket:
            async for message in socket:
                frame = FRAME.validate_json(message)
                yield frame
                if isinstance(frame, TERMINAL_FRAMES):
                    return
        raise DemoFailedError(f"the websocket of job {job_id} closed before the job's last event")


def _read(answer: httpx.Response, shape: type[ShapeT]) -> ShapeT:
    if not answer.is_success:
        call = f"{answer.request.method} {answer.request.url.path}"
        raise DemoFailedError(f"{call} was answered {answer.status_code}: {answer.text[:300]}")
    return shape.model_validate_json(answer.content)
