import pytest


@pytest.fixture(params=["memory", pytest.param("postgres", marks=pytest.mark.integration)])
def address(request: pytest.FixtureRequest) -> str:
    """Give the address of a migrated database for the real repositories, "" for the fakes."""
    return "" if request.param == "memory" else str(request.getfixturevalue("database_url"))
