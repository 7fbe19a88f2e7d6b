from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.messaging.declaration import declare
from shared.persistence.engine import create_engine
from shared.providers.limits import TimeLimits
from shared.providers.registry import Providers, build_providers
from shared.settings import CloudflareSettings, OpenAISettings
from tests.support.chat_pipeline import Pipeline, pipeline
from tests.support.local_providers import SimulatorClient, simulator_in
from tests.support.proxy import Proxy, proxy_to

_PATIENT = TimeLimits(connect=5.0, first_token=20.0, between_tokens=20.0, total=60.0)


@pytest.fixture
async def engine(database_url: str) -> AsyncGenerator[AsyncEngine]:
    engine = create_engine(database_url)
    yield engine
    await engine.dispose()


@pytest.fixture
async def simulator(tmp_path: Path) -> AsyncGenerator[SimulatorClient]:
    async with simulator_in(tmp_path) as running:
        yield running


@pytest.fixture
async def providers(simulator: SimulatorClient) -> AsyncGenerator[Providers]:
    cloudflare = {
        "CLOUDFLARE_ACCOUNT_ID": "account",
        "CLOUDFLARE_API_TOKEN": "token",
        "CLOUDFLARE_AI_GATEWAY_URL": f"{simulator.url}/client/v4",
    }
    openai = {"OPENAI_API_KEY": "key", "OPENAI_BASE_URL": f"{simulator.url}/v1"}
    providers = build_providers(
        CloudflareSettings.model_validate(cloudflare),
        OpenAISettings.model_validate(openai),
        _PATIENT,
    )
    yield providers
    await providers.aclose()


@pytest.fixture
async def proxy(amqp_url: str, management_url: str) -> AsyncGenerator[Proxy]:
    """What stands between the services and their broker."""
    await declare(amqp_url, management_url)
    async with proxy_to(amqp_url) as proxy:
        yield proxy


@pytest.fixture
async def running(
    engine: AsyncEngine, proxy: Proxy, simulator: SimulatorClient, providers: Providers
) -> AsyncGenerator[Pipeline]:
    async with pipeline(engine, proxy.url, simulator, providers.chat) as running:
        yield running
