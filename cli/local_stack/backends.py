"""Brings up broker and database together, migrated and declared, or takes the given ones.

The database is migrated while the broker still boots: together they take no longer than the
broker alone.
"""

import asyncio
import shutil
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

from cli.local_stack.broker import PrivateBroker
from cli.local_stack.broker_programs import find_broker_programs
from cli.local_stack.database import EmbeddedDatabase
from cli.local_stack.docker_broker import DockerBroker
from cli.local_stack.install_broker import find_docker, missing_broker_message
from cli.local_stack.plan import UnusablePlanError
from cli.local_stack.processes import ChildProcess
from cli.local_stack.servers import BrokerAddress, BrokerServer, Server, usual_management_url
from shared.settings import StackSettings


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where broker and database answer."""

    database_url: str = field(repr=False)
    broker: BrokerAddress

    def settings(self) -> dict[str, str]:
        """Return them as the settings of a service process."""
        return {
            "DATABASE_URL": self.database_url,
            "RABBITMQ_URL": self.broker.url,
            "RABBITMQ_MANAGEMENT_URL": self.broker.management_url,
        }


class Backends:
    """The broker and the database of one stack."""

    def __init__(self, home: Path, given: StackSettings) -> None:
        self._given = given
        self._database = EmbeddedDatabase(home / "postgres", home / "logs" / "postgres.log")
        self._broker_folder = home / "rabbitmq"
        self._broker = None if given.rabbitmq_url else _own_broker(self._broker_folder)
        self._servers: list[Server] = []
        if self._broker is not None:
            self._servers.append(self._broker)
        if not given.database_url:
            self._servers.append(self._database)

    def processes(self) -> list[ChildProcess]:
        """Return the processes of the stack's own servers."""
        return [child for server in self._servers for child in server.processes()]

    async def start(self, on_migrated: Callable[[Addresses], Awaitable[None]]) -> Addresses:
        """Start what is not given, migrate and declare; return where broker and database answer.

        Args:
            on_migrated: Called when the database is ready and the broker still boots.

        Raises:
            ServerFailedError: A server did not become ready.
        """
        if self._broker is not None and not self._given.database_url and self._database.is_new:
            # What an earlier broker kept speaks of jobs that no longer exist.
            shutil.rmtree(self._broker_folder, ignore_errors=True)
        broker_address = await self._broker_address()
        broker = asyncio.create_task(self._start_broker())
        try:
            addresses = Addresses(await self._start_database(), broker_address)
            await on_migrated(addresses)
            declare = await asyncio.to_thread(_import_declare)
            await broker
        finally:
            broker.cancel()
            await asyncio.gather(broker, return_exceptions=True)
        await declare(addresses.broker.url, addresses.broker.management_url)
        return addresses

    async def stop(self, *, discard: bool) -> None:
        """End the stack's own servers."""
        await asyncio.gather(*(server.stop(discard=discard) for server in self._servers))

    async def _broker_address(self) -> BrokerAddress:
        if self._broker is not None:
            return await self._broker.prepare()
        url = self._given.rabbitmq_url
        management = self._given.rabbitmq_management_url or usual_management_url(url)
        return BrokerAddress(url, management)

    async def _start_broker(self) -> None:
        if self._broker is not None:
            await self._broker.start()

    async def _start_database(self) -> str:
        url = self._given.database_url or await self._database.start()
        await asyncio.to_thread(_upgrade, url)
        return url


def _upgrade(database_url: str) -> None:
    from shared.persistence.migrate import upgrade  # noqa: PLC0415 - loads while the broker boots

    upgrade(database_url)


def _import_declare() -> Callable[[str, str | None], Awaitable[None]]:
    from shared.messaging.declaration import declare  # noqa: PLC0415 - as above

    return declare


def _own_broker(folder: Path) -> BrokerServer:
    programs = find_broker_programs()
    if programs is not None:
        return PrivateBroker(folder, programs)
    docker = find_docker()
    if docker is not None:
        return DockerBroker(folder, docker)
    raise UnusablePlanError(missing_broker_message())
