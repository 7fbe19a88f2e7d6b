"""Waits until processes answer that they are ready, and names the one that does not."""

import asyncio
import time
from collections.abc import Sequence
from urllib.parse import urlsplit

import httpx

from cli.local_stack.ports import is_listening
from cli.local_stack.processes import ChildProcess
from cli.local_stack.servers import ServerFailedError

_READY_SECONDS = 90.0
_POLL_SECONDS = 0.05


async def wait_all_ready(waiting: Sequence[tuple[ChildProcess, str]]) -> None:
    """Wait until each process answers 200 at its address.

    Raises:
        ServerFailedError: One ended, or was not ready in time.
    """
    async with httpx.AsyncClient(timeout=5) as client:
        deadline = time.monotonic() + _READY_SECONDS
        await asyncio.gather(*(_wait_ready(client, *one, deadline) for one in waiting))


async def _wait_ready(
    client: httpx.AsyncClient, child: ChildProcess, url: str, deadline: float
) -> None:
    while not await _is_ready(client, url):
        if child.exit_status() is not None:
            raise ServerFailedError(
                f"{child.spec.name} ended with status {child.exit_status()}: "
                f"see {child.spec.log_file}"
            )
        if time.monotonic() > deadline:
            raise ServerFailedError(
                f"{child.spec.name} was not ready within {_READY_SECONDS:.0f} s: "
                f"see {child.spec.log_file}"
            )
        await asyncio.sleep(_POLL_SECONDS)


async def _is_ready(client: httpx.AsyncClient, url: str) -> bool:
    port = urlsplit(url).port
    if port is not None and not is_listening(port):  # much cheaper than a request that fails
        return False
    try:
        return (await client.get(url)).is_success
    except httpx.HTTPError:
        return False
