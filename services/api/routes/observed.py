"""Gives every answer a request id, and counts and times it.

It wraps the whole app, so that even an unexpected failure's answer carries the id.
"""

import re
from typing import Final

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.observability.metrics import Metrics
from shared.ports.clock import Clock, Ids

_SANE_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,128}")
_WITH_HEADERS: Final = frozenset(
    {"http.response.start", "websocket.http.response.start", "websocket.accept"}
)


class Observed:
    """An ASGI app around another."""

    def __init__(self, app: ASGIApp, ids: Ids, clock: Clock, metrics: Metrics) -> None:
        self._app = app
        self._ids = ids
        self._clock = clock
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection; a sane `x-request-id` of the client is kept."""
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        request_id = self._request_id(Headers(scope=scope).get("x-request-id"))
        status = 500

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] in _WITH_HEADERS:
                status = message.get("status", 101)
                MutableHeaders(scope=message)["x-request-id"] = request_id
            await send(message)

        started = self._clock.monotonic()
        with structlog.contextvars.bound_contextvars(request_id=request_id):
            try:
                await self._app(scope, receive, send_with_id)
            finally:
                self._record(scope, status, self._clock.monotonic() - started)

    def _request_id(self, proposed: str | None) -> str:
        if proposed is not None and _SANE_ID.fullmatch(proposed):
            return proposed
        return self._ids.new("req")

    def _record(self, scope: Scope, status: int, seconds: float) -> None:
        route = str(getattr(scope.get("route"), "path", "unmatched"))
        method = str(scope.get("method", "WEBSOCKET"))
        self._metrics.count("sluiceway_http_requests_total", method, route, str(status))
        if scope["type"] == "http":
            self._metrics.observe("sluiceway_http_request_seconds", seconds, route)
