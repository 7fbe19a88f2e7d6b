"""One stack for every crash test of a run; each test brings the process that dies."""

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.support.stack_client import StackClient, stack_client
from tests.support.stacks import (
    ExtraProcess,
    RunningStack,
    blocking,
    extra_process,
    running_stack,
)

SHORT_LEASE = {"SLUICEWAY_LEASE_SECONDS": "1.5"}


@pytest.fixture(scope="session")
def crash_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    """Give a stack whose workers and aggregator the tests start themselves."""
    home = tmp_path_factory.mktemp("crashes") / "home"
    scale = "api=1,inference=0,embedding=0,aggregator=0"
    with blocking(running_stack(home, scale, SHORT_LEASE)) as stack:
        yield stack


@pytest.fixture(scope="module")
def aggregator(crash_stack: RunningStack) -> Iterator[ExtraProcess]:
    """Give a healthy aggregator to the tests of a module."""
    block = extra_process(crash_stack, "aggregator-1", "services.cost_aggregator.main")
    with blocking(block) as process:
        yield process


@pytest.fixture(scope="module")
def worker(crash_stack: RunningStack) -> Iterator[ExtraProcess]:
    """Give a healthy inference worker to the tests of a module."""
    block = extra_process(crash_stack, "inference-1", "services.inference_worker.main")
    with blocking(block) as process:
        yield process


@pytest.fixture
async def client(crash_stack: RunningStack) -> AsyncIterator[StackClient]:
    """Give a client of the stack, whose providers behave again at the end."""
    async with stack_client(crash_stack.ready) as one:
        yield one
        await one.behave()


@pytest.fixture(scope="session")
def whole_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    """Give a stack with every service, whose supervisor restarts what dies."""
    home = tmp_path_factory.mktemp("chaos") / "home"
    scale = "api=1,inference=2,embedding=1,aggregator=1"
    with blocking(running_stack(home, scale, SHORT_LEASE)) as stack:
        yield stack


@pytest.fixture
async def whole_client(whole_stack: RunningStack) -> AsyncIterator[StackClient]:
    """Give a client of the whole stack, whose providers behave again at the end."""
    async with stack_client(whole_stack.ready) as one:
        yield one
        await one.behave()
