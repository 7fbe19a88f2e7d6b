"""One stack for every end-to-end test of a run; its providers behave unless a test says so."""

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.support.stack_client import StackClient, stack_client
from tests.support.stacks import RunningStack, blocking, running_stack


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    """Give a stack that all tests share: each sees to it that its own jobs end."""
    home = tmp_path_factory.mktemp("e2e") / "home"
    with blocking(running_stack(home, "api=1,inference=1,embedding=1,aggregator=1")) as one:
        yield one


@pytest.fixture
async def client(stack: RunningStack) -> AsyncIterator[StackClient]:
    """Give a client of the stack."""
    async with stack_client(stack.ready) as one:
        await one.behave()
        yield one
        await one.behave()
