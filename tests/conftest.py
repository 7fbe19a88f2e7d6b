"""Real servers for the tests that need them, started when the first such test asks."""

from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from cli.local_stack.servers import BrokerAddress
from shared.persistence.migrate import upgrade
from tests.support.servers import (
    ServerChoice,
    VirtualHost,
    broker_server,
    database_server,
    fresh_database,
    fresh_virtual_host,
)


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrokerAddress]:
    """Give the broker that all tests share."""
    with broker_server(ServerChoice(), tmp_path_factory.mktemp("broker")) as address:
        yield address


@pytest.fixture
def vhost(broker: BrokerAddress) -> Iterator[VirtualHost]:
    """Give an empty virtual host of the test's own."""
    with fresh_virtual_host(broker) as virtual_host:
        yield virtual_host


@pytest.fixture
def amqp_url(vhost: VirtualHost) -> str:
    """Give the address of the test's virtual host."""
    return vhost.url


@pytest.fixture(scope="session")
def management_url(broker: BrokerAddress) -> str:
    """Give the address of the broker's management API, with its login."""
    return broker.management_url


@pytest.fixture(scope="session")
def database_server_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Give the database server that all tests share."""
    with database_server(ServerChoice(), tmp_path_factory.mktemp("database")) as address:
        yield address


@pytest.fixture(scope="session")
def migrated_template(database_server_url: str) -> Iterator[str]:
    """Give the name of a migrated database that others are copied from."""
    with fresh_database(database_server_url) as address:
        upgrade(address)
        yield urlsplit(address).path.removeprefix("/")


@pytest.fixture
def database_url(database_server_url: str, migrated_template: str) -> Iterator[str]:
    """Give a migrated, otherwise empty database of the test's own."""
    with fresh_database(database_server_url, migrated_template) as address:
        yield address


@pytest.fixture
def empty_database_url(database_server_url: str) -> Iterator[str]:
    """Give a database without any table."""
    with fresh_database(database_server_url) as address:
        yield address
