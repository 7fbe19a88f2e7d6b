from collections.abc import AsyncGenerator

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.persistence.engine import create_engine


@pytest.fixture
async def engine(database_url: str) -> AsyncGenerator[AsyncEngine]:
    """An engine on a migrated database of the test's own."""
    engine = create_engine(database_url)
    yield engine
    await engine.dispose()


@pytest.fixture
async def second_engine(database_url: str) -> AsyncGenerator[AsyncEngine]:
    """The same database as another process sees it."""
    engine = create_engine(database_url)
    yield engine
    await engine.dispose()
