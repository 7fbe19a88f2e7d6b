from pathlib import Path
from urllib.parse import urlsplit

import httpx
import psycopg
import pytest

from cli.local_stack.servers import BrokerAddress
from tests.support.servers import (
    ServerChoice,
    VirtualHost,
    broker_server,
    database_server,
    fresh_database,
    fresh_virtual_host,
)

pytestmark = pytest.mark.integration


def test_a_test_has_an_empty_virtual_host_of_its_own(vhost: VirtualHost) -> None:
    answer = httpx.get(f"{vhost.management_url}/api/queues/{vhost.name}")
    assert answer.json() == []


def test_a_test_has_a_migrated_database_of_its_own(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        found = connection.execute("SELECT count(*) FROM jobs").fetchone()
    assert found == (0,)


def _external(**addresses: str) -> ServerChoice:
    named = {"TEST_RABBITMQ_URL": "", "TEST_RABBITMQ_MANAGEMENT_URL": "", "TEST_DATABASE_URL": ""}
    return ServerChoice.model_validate({"TEST_SERVICES": "external"} | named | addresses)


def test_named_servers_are_used_and_none_is_started(
    broker: BrokerAddress, database_server_url: str, tmp_path: Path
) -> None:
    choice = _external(
        TEST_RABBITMQ_URL=broker.url,
        TEST_RABBITMQ_MANAGEMENT_URL=broker.management_url,
        TEST_DATABASE_URL=database_server_url,
    )
    with broker_server(choice, tmp_path) as address, fresh_virtual_host(address) as own:
        found = httpx.get(f"{broker.management_url}/api/vhosts/{own.name}")
        assert found.is_success
    with database_server(choice, tmp_path) as server, fresh_database(server) as database:
        psycopg.connect(database).close()
    assert urlsplit(database).netloc == urlsplit(database_server_url).netloc
    assert [*tmp_path.iterdir()] == []


@pytest.mark.parametrize(
    ("named", "used"),
    [
        ("", "http://ann:pw@broker.test:15672"),
        ("http://broker.test:8000", "http://ann:pw@broker.test:8000"),
        ("https://bob:x@broker.test", "https://bob:x@broker.test"),
    ],
)
def test_the_management_api_has_the_brokers_login_unless_told_otherwise(
    named: str, used: str
) -> None:
    choice = _external(
        TEST_RABBITMQ_URL="amqp://ann:pw@broker.test:5672/",
        TEST_RABBITMQ_MANAGEMENT_URL=named,
    )
    assert choice.external_broker().management_url == used


def test_an_address_that_is_missing_is_named(tmp_path: Path) -> None:
    choice = _external()
    with pytest.raises(ValueError, match="TEST_RABBITMQ_URL"), broker_server(choice, tmp_path):
        pass
    with pytest.raises(ValueError, match="TEST_DATABASE_URL"), database_server(choice, tmp_path):
        pass
