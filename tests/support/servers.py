"""Gives tests a real broker and database: started here, in containers, or named by addresses.

`TEST_SERVICES` chooses; each test gets a virtual host and a database of its own on them, so that
tests share the servers without seeing each other.
"""

import asyncio
import secrets
from collections.abc import Coroutine, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar
from urllib.parse import urlsplit, urlunsplit

import httpx
import psycopg
from pydantic import Field
from pydantic_settings import BaseSettings

from cli.local_stack.broker import PrivateBroker
from cli.local_stack.broker_programs import find_broker_programs
from cli.local_stack.database import EmbeddedDatabase
from cli.local_stack.servers import BrokerAddress, usual_management_url
from tests.support.containers import broker_container, database_container

ResultT = TypeVar("ResultT")


class ServerChoice(BaseSettings):
    """Which servers the tests run on."""

    services: Literal["local", "containers", "external"] = Field(
        default="local", alias="TEST_SERVICES"
    )
    rabbitmq_url: str = Field(default="", alias="TEST_RABBITMQ_URL")
    rabbitmq_management_url: str = Field(default="", alias="TEST_RABBITMQ_MANAGEMENT_URL")
    database_url: str = Field(default="", alias="TEST_DATABASE_URL")

    def external_broker(self) -> BrokerAddress:
        """Return the named broker; its management API has the same login, unless told otherwise.

        Raises:
            ValueError: None is named.
        """
        if not self.rabbitmq_url:
            raise ValueError("TEST_SERVICES=external needs TEST_RABBITMQ_URL")
        usual = usual_management_url(self.rabbitmq_url)
        named = urlsplit(self.rabbitmq_management_url or usual)
        if not named.username:
            login = urlsplit(usual).netloc.rpartition("@")[0]
            named = named._replace(netloc=f"{login}@{named.netloc}")
        return BrokerAddress(self.rabbitmq_url, urlunsplit(named))

    def external_database(self) -> str:
        """Return the named database; tests make databases of their own beside it.

        Raises:
            ValueError: None is named.
        """
        if not self.database_url:
            raise ValueError("TEST_SERVICES=external needs TEST_DATABASE_URL")
        return self.database_url


@dataclass(frozen=True, slots=True)
class VirtualHost:
    """A test's own part of the broker."""

    name: str
    url: str
    management_url: str


def run(coroutine: Coroutine[None, None, ResultT]) -> ResultT:
    """Run to the end on a loop of its own, leaving the test's loop alone."""
    loop = asyncio.new_event_loop()
    try:
        return loop.run_until_complete(coroutine)
    finally:
        loop.close()


@contextmanager
def broker_server(choice: ServerChoice, folder: Path) -> Generator[BrokerAddress]:
    """Give a broker for the time of the block."""
    match choice.services:
        case "external":
            yield choice.external_broker()
        case "containers":
            with broker_container() as address:
                yield address
        case "local":
            programs = find_broker_programs()
            if programs is None:
                raise RuntimeError("no rabbitmq-server here: run `make test`, which installs it")
            node = PrivateBroker(folder / "rabbitmq", programs)
            try:
                yield run(node.start())
            finally:
                run(node.stop(discard=True))


@contextmanager
def database_server(choice: ServerChoice, folder: Path) -> Generator[str]:
    """Give the address of an empty database for the time of the block."""
    match choice.services:
        case "external":
            yield choice.external_database()
        case "containers":
            with database_container() as address:
                yield address
        case "local":
            server = EmbeddedDatabase(folder / "postgres", folder / "postgres.log", durable=False)
            try:
                yield run(server.start())
            finally:
                run(server.stop(discard=True))


@contextmanager
def fresh_virtual_host(broker: BrokerAddress) -> Generator[VirtualHost]:
    """Give an empty virtual host, removed at the end."""
    name = f"test-{secrets.token_hex(6)}"
    with httpx.Client(base_url=broker.management_url, timeout=30) as client:
        user = urlsplit(broker.url).username or "guest"
        client.put(f"/api/vhosts/{name}").raise_for_status()
        everything = {"configure": ".*", "write": ".*", "read": ".*"}
        client.put(f"/api/permissions/{name}/{user}", json=everything).raise_for_status()
        try:
            url = urlunsplit(urlsplit(broker.url)._replace(path=f"/{name}"))
            yield VirtualHost(name=name, url=url, management_url=broker.management_url)
        finally:
            client.delete(f"/api/vhosts/{name}").raise_for_status()


@contextmanager
def fresh_database(server_url: str, template: str | None = None) -> Generator[str]:
    """Give the address of a new database, copied from `template` if given, dropped at the end."""
    name = f"test_{secrets.token_hex(6)}"
    source = f' TEMPLATE "{template}"' if template else ""
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"{source}'.encode())
    try:
        yield urlunsplit(urlsplit(server_url)._replace(path=f"/{name}"))
    finally:
        with psycopg.connect(server_url, autocommit=True) as connection:
            connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)'.encode())
