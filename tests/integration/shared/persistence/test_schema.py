import pytest

from shared.domain.errors import DatabaseUnavailableError
from shared.persistence.engine import create_engine
from shared.persistence.migrate import upgrade
from shared.persistence.schema import is_migrated

pytestmark = pytest.mark.integration


async def _is_migrated(url: str) -> bool:
    engine = create_engine(url)
    try:
        return await is_migrated(engine)
    finally:
        await engine.dispose()


async def test_a_migrated_database_is(database_url: str) -> None:
    assert await _is_migrated(database_url)


async def test_an_empty_database_is_not(empty_database_url: str) -> None:
    assert not await _is_migrated(empty_database_url)


async def test_an_older_database_is_not(empty_database_url: str) -> None:
    upgrade(empty_database_url, "0002")
    assert not await _is_migrated(empty_database_url)


async def test_a_database_that_is_not_there_yet_is_unavailable(database_url: str) -> None:
    with pytest.raises(DatabaseUnavailableError):
        await _is_migrated(f"{database_url}_later")
