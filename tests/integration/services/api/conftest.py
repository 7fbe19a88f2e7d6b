import asyncio
import os
import signal
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest_asyncio

from shared.messaging.declaration import declare
from tests.support.servers import VirtualHost

ROOT = Path(__file__).parents[4]
ADMIN_KEY = "admin-key-of-the-tests"
_START_SECONDS = 20


@dataclass(frozen=True)
class ApiProcess:
    """A running API; `keys` maps a tier to a key of that tier."""

    url: str
    pid: int
    keys: dict[str, str]

    def client(self, key: str = ADMIN_KEY) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            base_url=self.url, headers={"authorization": f"Bearer {key}"}, timeout=30
        )


@pytest_asyncio.fixture
async def api(
    vhost: VirtualHost, database_url: str, unused_tcp_port: int
) -> AsyncGenerator[ApiProcess]:
    await declare(vhost.url, vhost.management_url)
    environment = {
        **os.environ,  # noqa: TID251 - the child needs the path
        "DATABASE_URL": database_url,
        "RABBITMQ_URL": vhost.url,
        "SLUICEWAY_ADMIN_KEY": ADMIN_KEY,
        "SLUICEWAY_HTTP_PORT": str(unused_tcp_port),
        "SLUICEWAY_PROCESS_NAME": "api-1",
        "SLUICEWAY_DRAIN_SECONDS": "5",
    }
    async with _running(environment, f"http://127.0.0.1:{unused_tcp_port}") as process:
        yield process


@asynccontextmanager
async def _running(environment: dict[str, str], url: str) -> AsyncGenerator[ApiProcess]:
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services.api.main", cwd=ROOT, env=environment
    )
    try:
        await _ready(child, url)
        yield ApiProcess(url, child.pid, await _issue_keys(url))
    finally:
        if child.returncode is None:
            child.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(child.wait(), 20) == 0


async def _ready(child: asyncio.subprocess.Process, url: str) -> None:
    async with asyncio.timeout(_START_SECONDS), httpx.AsyncClient(base_url=url) as client:
        while child.returncode is None:
            try:
                if (await client.get("/readyz")).status_code == 200:
                    return
            except httpx.TransportError:
                pass
            await asyncio.sleep(0.05)
    raise AssertionError(f"the API ended with {child.returncode}")


async def _issue_keys(url: str) -> dict[str, str]:
    headers = {"authorization": f"Bearer {ADMIN_KEY}"}
    keys: dict[str, str] = {}
    async with httpx.AsyncClient(base_url=url, headers=headers) as client:
        for tier in ("free", "paid", "premium"):
            body = {"user_id": f"user-{tier}", "tier": tier}
            answer = await client.post("/v1/admin/keys", json=body)
            keys[tier] = answer.raise_for_status().json()["key"]
    return keys
