import httpx
import psycopg
import pytest

from tests.support.servers import VirtualHost

pytestmark = pytest.mark.integration


def test_a_test_has_an_empty_virtual_host_of_its_own(vhost: VirtualHost) -> None:
    answer = httpx.get(f"{vhost.management_url}/api/queues/{vhost.name}")
    assert answer.json() == []


def test_a_test_has_a_migrated_database_of_its_own(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        found = connection.execute("SELECT count(*) FROM jobs").fetchone()
    assert found == (0,)
