"""A simulator that these tests share, well and with an empty bill at the start of each."""

from collections.abc import AsyncGenerator, Iterator

import pytest

from tests.contract.simulator.running import Simulator, clients_of, serving, write_price_rows


@pytest.fixture(scope="session")
def simulator_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Give the address of a running simulator."""
    folder = tmp_path_factory.mktemp("simulator")
    with serving(folder / "home", write_price_rows(folder / "prices")) as url:
        yield url


@pytest.fixture
async def simulator(simulator_url: str) -> AsyncGenerator[Simulator]:
    """Give the simulator, well and with an empty bill."""
    async with clients_of(simulator_url) as running:
        await running.http.delete("/_control")
        await running.http.delete("/_bill")
        await running.http.delete("/_requests")
        yield running
