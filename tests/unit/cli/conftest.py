from collections.abc import Iterator

import pytest

from tests.support.api_bench import ApiBench
from tests.support.served import served
from tests.support.shell import Shell


@pytest.fixture
def shell() -> Iterator[Shell]:
    bench = ApiBench()
    with served(bench.app) as url:
        yield Shell(bench, url)
