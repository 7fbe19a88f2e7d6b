"""Health of a process: alive as long as its loop turns, ready while what it needs answers.

`health_app` is what a worker serves beside its real work. Liveness never asks the broker or the
database: restarting a process does not repair them.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping

import orjson

from shared.domain.errors import SluicewayError
from shared.observability.metrics import CONTENT_TYPE, Metrics

Check = Callable[[], Awaitable[bool]]
Scope = MutableMapping[str, object]
Receive = Callable[[], Awaitable[MutableMapping[str, object]]]
Send = Callable[[MutableMapping[str, object]], Awaitable[None]]
AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]

_CHECK_SECONDS = 2.0


async def failing(checks: Mapping[str, Check]) -> tuple[str, ...]:
    """Return the names of the checks that fail or don't answer within 2 s."""
    passed = await asyncio.gather(*(_passes(check) for check in checks.values()))
    return tuple(name for name, ok in zip(checks, passed, strict=True) if not ok)


def readiness(failed: Iterable[str]) -> tuple[int, bytes]:
    """Return the status and body of a readiness answer."""
    names = list(failed)
    if names:
        return 503, orjson.dumps({"status": "unready", "failed": names})
    return 200, orjson.dumps({"status": "ready"})


def health_app(checks: Mapping[str, Check], metrics: Metrics) -> AsgiApp:
    """Return an ASGI app with `/healthz`, `/readyz` and `/metrics`.

    Args:
        checks: What the process needs, by name; a check answers whether it is there.
        metrics: What `/metrics` shows.
    """

    async def answer(path: object) -> tuple[int, str, bytes]:
        if path == "/healthz":
            return 200, "application/json", orjson.dumps({"status": "alive"})
        if path == "/readyz":
            status, body = readiness(await failing(checks))
            return status, "application/json", body
        if path == "/metrics":
            return 200, CONTENT_TYPE, metrics.render()
        return 404, "text/plain", b"not found"

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        del receive
        status, content_type, body = await answer(scope["path"])
        headers = [(b"content-type", content_type.encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return app


async def _passes(check: Check) -> bool:
    try:
        async with asyncio.timeout(_CHECK_SECONDS):
            return await check()
    except (SluicewayError, OSError, TimeoutError, RuntimeError):
        return False
