import pytest

from tests.support.api_bench import ApiBench


@pytest.fixture
def bench() -> ApiBench:
    return ApiBench()
