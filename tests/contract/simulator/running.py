"""The simulator behind a real socket, and what a test asks of it."""

import asyncio
import socket
import threading
from collections.abc import AsyncGenerator, Callable, Generator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import uvicorn
from openai import AsyncOpenAI

from simulator.app import App
from simulator.main import build, server_config

_COLUMNS = (
    "provider,model,kind,input_usd_per_million,output_usd_per_million,neurons_per_million_input,"
    "neurons_per_million_output,context_tokens,dimensions,effective_from,retired_on,source,as_of"
)
_ROWS = (
    "cloudflare,@cf/meta/llama-3.2-3b-instruct,chat,0.051,0.335,4625,30475,80000,,,,x,2026-08-28",
    "cloudflare,@cf/meta/llama-3.1-8b-instruct-fast,chat,0.045,0.384,4119,34868,60000,,,,x,2026-08-28",
    "cloudflare,@cf/google/gemma-4-26b-a4b-it,chat,0.1,0.3,9091,27273,256000,,,,x,2026-08-28",
    "cloudflare,@cf/meta/llama-3.1-8b-instruct,chat,0.282,0.827,25608,75147,,,,2026-05-30,x,2026-08-28",
    "cloudflare,@cf/meta/llama-3.1-8b-instruct-fp8,chat,0.15,0.29,13778,26128,32000,,,,x,2026-08-28",
    "cloudflare,@cf/openai/gpt-oss-20b,chat,0.2,0.3,18182,27273,128000,,,,x,2026-08-28",
    "cloudflare,@cf/qwen/qwen3-30b-a3b-fp8,chat,0.051,0.335,4625,30475,32768,,,,x,2026-08-28",
    "cloudflare,@cf/moonshotai/kimi-k2.6,chat,0.95,4,86364,363636,262144,,,,x,2026-08-28",
    "cloudflare,@cf/baai/bge-m3,embedding,0.012,0,1075,0,60000,1024,,,x,2026-08-28",
    "cloudflare,@cf/baai/bge-base-en-v1.5,embedding,0.067,0,6058,0,512,768,,,x,2026-08-28",
    "cloudflare,@cf/qwen/qwen3-embedding-0.6b,embedding,0.012,0,1075,0,8192,1024,,,x,2026-08-28",
    "openai,gpt-6-luna,chat,0.1,0.5,,,1050000,,,,x,2026-11-22",
    "openai,gpt-4,chat,30,60,,,8192,,,2026-10-23,x,2026-11-22",
    "openai,gpt-4o-mini,chat,0.15,0.6,,,128000,,,2099-01-14,x,2026-11-22",
    "openai,text-embedding-3-small,embedding,0.02,0,,,8192,1536,,,x,2026-11-22",
    "openai,text-embedding-ada-002,embedding,0.1,0,,,8192,1536,,,x,2026-11-22",
)
_ACCEPT_WITHIN_SECONDS = 10


@dataclass(frozen=True)
class Simulator:
    """A running simulator, and what a test asks of it."""

    url: str
    http: httpx.AsyncClient
    openai: AsyncOpenAI

    async def set(self, provider: str, **behaviour: object) -> None:
        """Change a provider's behaviour."""
        answer = await self.http.put("/_control", json={provider: behaviour})
        answer.raise_for_status()

    async def run(
        self,
        model: str,
        body: Mapping[str, object],
        *,
        path: str = "/client/v4/accounts/acc/ai/run/",
    ) -> httpx.Response:
        """Call a Cloudflare model."""
        return await self.http.post(path + model, json=body)

    async def bill(self) -> list[dict[str, object]]:
        """Return the bill's rows."""
        rows: list[dict[str, object]] = (await self.http.get("/_bill")).json()["data"]
        return rows

    async def only_row(self, accept: Callable[[dict[str, object]], bool]) -> dict[str, object]:
        """Return the only row of the bill, as soon as a test accepts it."""
        async with asyncio.timeout(_ACCEPT_WITHIN_SECONDS):
            while True:
                rows = await self.bill()
                if len(rows) == 1 and accept(rows[0]):
                    return rows[0]
                await asyncio.sleep(0.005)


def write_price_rows(folder: Path) -> Path:
    """Write the price rows of these tests into a new folder."""
    folder.mkdir()
    folder.joinpath("rows.csv").write_text("\n".join([_COLUMNS, *_ROWS]), encoding="utf-8")
    return folder


@contextmanager
def serving(home: Path, prices: Path) -> Generator[str]:
    """Serve a simulator on a free port; give its address."""
    simulation = build(home, prices)
    server = uvicorn.Server(server_config(App(simulation)))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()
            simulation.bill.close()


@asynccontextmanager
async def clients_of(url: str) -> AsyncGenerator[Simulator]:
    """Give clients of both providers for a running simulator."""
    headers = {"authorization": "Bearer token"}
    async with (
        httpx.AsyncClient(base_url=url, headers=headers) as http,
        AsyncOpenAI(base_url=f"{url}/v1", api_key="key", max_retries=0) as sdk,
    ):
        yield Simulator(url, http, sdk)
