"""The broker and the database in containers, for `TEST_SERVICES=containers`."""

import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from threading import Event

import httpx
import psycopg
from testcontainers.core.container import DockerContainer

from cli.local_stack.servers import BrokerAddress

_BROKER_IMAGE = "rabbitmq:4-management"
_DATABASE_IMAGE = "pgvector/pgvector:pg17"
_LOGIN = "sluiceway:sluiceway"
_READY_SECONDS = 120.0


@contextmanager
def broker_container() -> Generator[BrokerAddress]:
    """Give a broker for the time of the block."""
    container = (
        DockerContainer(_BROKER_IMAGE)
        .with_exposed_ports(5672, 15672)
        .with_env("RABBITMQ_DEFAULT_USER", "sluiceway")
        .with_env("RABBITMQ_DEFAULT_PASS", "sluiceway")
    )
    with container:
        host = container.get_container_host_ip()
        amqp, management = container.get_exposed_port(5672), container.get_exposed_port(15672)
        address = BrokerAddress(
            url=f"amqp://{_LOGIN}@{host}:{amqp}/",
            management_url=f"http://{_LOGIN}@{host}:{management}",
        )
        _wait_ready(lambda: _broker_answers(address))
        yield address


@contextmanager
def database_container() -> Generator[str]:
    """Give the address of an empty database for the time of the block."""
    container = (
        DockerContainer(_DATABASE_IMAGE)
        .with_exposed_ports(5432)
        .with_env("POSTGRES_USER", "sluiceway")
        .with_env("POSTGRES_PASSWORD", "sluiceway")
    )
    with container:
        host, port = container.get_container_host_ip(), container.get_exposed_port(5432)
        address = f"postgresql://{_LOGIN}@{host}:{port}/sluiceway"
        _wait_ready(lambda: _database_answers(address))
        yield address


def _wait_ready(answers: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _READY_SECONDS
    while not answers():
        if time.monotonic() > deadline:
            raise TimeoutError(f"a container was not ready within {_READY_SECONDS} s")
        Event().wait(0.2)


def _broker_answers(address: BrokerAddress) -> bool:
    try:
        answer = httpx.get(f"{address.management_url}/api/health/checks/port-listener/5672")
    except httpx.HTTPError:
        return False
    return answer.is_success


def _database_answers(address: str) -> bool:
    try:
        psycopg.connect(address, connect_timeout=3).close()
    except psycopg.OperationalError:
        return False
    return True
