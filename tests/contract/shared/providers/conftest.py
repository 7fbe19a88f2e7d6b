"""All providers' real adapters, against the simulator and against recorded answers."""

import asyncio
import socket
from collections.abc import AsyncGenerator, Generator
from pathlib import Path

import httpx
import pytest
import uvicorn

from shared.providers.registry import Providers
from simulator.app import App
from simulator.main import DEFAULT_PRICES, build, server_config
from tests.support.local_providers import SimulatorClient, providers_at
from tests.support.other_server import OtherServer, litellm_server
from tests.support.replay_server import ReplayServer, replay_server
from tests.support.waiting import wait_until


@pytest.fixture
async def simulator(tmp_path: Path) -> AsyncGenerator[SimulatorClient]:
    simulation = build(tmp_path, DEFAULT_PRICES)
    server = uvicorn.Server(server_config(App(simulation)))
    listening = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    await wait_until(lambda: server.started)
    async with httpx.AsyncClient() as http:
        yield SimulatorClient(url, http)
    server.should_exit = True
    await serving
    simulation.bill.close()


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
