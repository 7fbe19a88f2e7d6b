"""Waits for what a process needs, so that processes and servers may be started in any order."""

import asyncio
import time
from collections.abc import Mapping
from datetime import timedelta

import structlog

from shared.observability.health import Check, failing

_PATIENCE = timedelta(seconds=30)
_POLL_SECONDS = 0.25

_log = structlog.stdlib.get_logger(__name__)


async def until_there(checks: Mapping[str, Check], patience: timedelta = _PATIENCE) -> None:
    """Wait until every check passes, or for as long as `patience`.

    It fails on nothing itself: whoever then uses what is missing says best what is wrong with it.

    Args:
        checks: What the process needs, by name.
        patience: How long a migration or a server's start may take.
    """
    deadline = time.monotonic() + patience.total_seconds()
    missing = await failing(checks)
    if missing:
        _log.info("start.waiting", missing=missing)
    while missing and time.monotonic() < deadline:
        await asyncio.sleep(_POLL_SECONDS)
        missing = await failing({name: checks[name] for name in missing})
    if missing:
        _log.warning("start.missing", missing=missing)
