"""The real adapters against servers of a test's own."""

import asyncio
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import uvicorn
from pydantic import BaseModel

from shared.domain.catalog import Provider
from shared.domain.provider_calls import OptionValue
from shared.domain.routes import Server
from shared.domain.usage import TokenUsage
from shared.providers.limits import TimeLimits
from shared.providers.registry import FurtherServers, Providers, build_providers
from shared.settings import CloudflareSettings, OpenAISettings, ProviderKeySettings
from simulator.app import App
from simulator.main import DEFAULT_PRICES, build, server_config
from tests.support.waiting import wait_until

NO_THINKING: dict[str, OptionValue] = {
    "reasoning_effort": "none",
    "chat_template_kwargs.enable_thinking": False,
}
LIMITS = TimeLimits(connect=2.0, first_token=0.5, between_tokens=0.3, total=1.5)
LOCAL = Provider("local")
"""A further provider, with OpenAI's API."""


def providers_at(
    url: str, *, tokens: str = "token", gateway: str | None = None, server: Server | None = None
) -> Providers:
    """Return adapters that call a local server, each provider's in its own shape."""
    cloudflare = CloudflareSettings.model_validate(
        {
            "CLOUDFLARE_ACCOUNT_ID": "account",
            "CLOUDFLARE_API_TOKEN": tokens,
            "CLOUDFLARE_AI_GATEWAY_URL": f"{url}/client/v4",
            "CLOUDFLARE_AI_GATEWAY_ID": gateway,
        }
    )
    openai = OpenAISettings.model_validate(
        {"OPENAI_API_KEY": "key", "OPENAI_BASE_URL": f"{url}/v1"}
    )
    further = {LOCAL: server or Server(f"{url}/v1")}
    keys = ProviderKeySettings.model_validate({"SLUICEWAY_PROVIDER_KEYS": "local=local-key"})
    return build_providers(cloudflare, openai, LIMITS, FurtherServers(further, keys))


def compatible_server(base_url: str, key: str, limits: TimeLimits = LIMITS) -> Providers:
    """Return adapters of which the further provider's calls a server with OpenAI's API."""
    keys = ProviderKeySettings.model_validate({"SLUICEWAY_PROVIDER_KEYS": f"local={key}"})
    nowhere = {"CLOUDFLARE_ACCOUNT_ID": "none", "CLOUDFLARE_API_TOKEN": "none"}
    return build_providers(
        CloudflareSettings.model_validate(nowhere),
        OpenAISettings.model_validate({"OPENAI_API_KEY": "none"}),
        limits,
        FurtherServers({LOCAL: Server(base_url)}, keys),
    )


class _Row(BaseModel):
    request_id: str
    input_tokens: int
    output_tokens: int


class _Bill(BaseModel):
    data: list[_Row]


@dataclass(frozen=True, slots=True)
class SimulatorClient:
    """A running simulator."""

    url: str
    http: httpx.AsyncClient

    async def misbehave(self, provider: str, **behaviour: str | float) -> None:
        """Set a provider's behaviour."""
        answer = await self.http.put(f"{self.url}/_control", json={provider: behaviour})
        answer.raise_for_status()

    async def billed(self) -> list[tuple[str, TokenUsage]]:
        """Return each billed call's request id and tokens."""
        answer = await self.http.get(f"{self.url}/_bill")
        rows = _Bill.model_validate_json(answer.content).data
        return [(row.request_id, TokenUsage(row.input_tokens, row.output_tokens)) for row in rows]


@asynccontextmanager
async def simulator_in(
    home: Path, prices: Path = DEFAULT_PRICES
) -> AsyncGenerator[SimulatorClient]:
    """Give a simulator that runs for the time of the block; its bill is kept in `home`."""
    simulation = build(home, prices)
    server = uvicorn.Server(server_config(App(simulation)))
    listening = socket.create_server(("127.0.0.1", 0))
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    await wait_until(lambda: server.started)
    async with httpx.AsyncClient() as http:
        yield SimulatorClient(f"http://127.0.0.1:{listening.getsockname()[1]}", http)
    server.should_exit = True
    await serving
    simulation.bill.close()
