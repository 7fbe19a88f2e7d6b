"""All providers' real adapters, against the simulator and against recorded answers."""

from collections.abc import AsyncGenerator, Generator
from pathlib import Path

import pytest

from shared.providers.registry import Providers
from tests.support.local_providers import SimulatorClient, providers_at, simulator_in
from tests.support.other_server import OtherServer, litellm_server
from tests.support.replay_server import ReplayServer, replay_server


@pytest.fixture
async def simulator(tmp_path: Path) -> AsyncGenerator[SimulatorClient]:
    async with simulator_in(tmp_path) as running:
        yield running


@pytest.fixture
async def simulated(simulator: SimulatorClient) -> AsyncGenerator[Providers]:
    providers = providers_at(simulator.url)
    yield providers
    await providers.aclose()


@pytest.fixture
async def replay() -> AsyncGenerator[ReplayServer]:
    async with replay_server() as server:
        yield server


@pytest.fixture
async def replayed(replay: ReplayServer) -> AsyncGenerator[Providers]:
    providers = providers_at(replay.url)
    yield providers
    await providers.aclose()


@pytest.fixture(scope="session")
def other_server(tmp_path_factory: pytest.TempPathFactory) -> Generator[OtherServer]:
    """Give a server with OpenAI's API that is not ours, installed for the session."""
    with litellm_server(tmp_path_factory.mktemp("litellm")) as server:
        yield server
