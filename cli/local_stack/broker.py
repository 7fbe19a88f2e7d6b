"""A private RabbitMQ node: own name, ports, cookie, port mapper and data, next to any other.

Its port mapper (epmd) is a child of ours in the foreground; otherwise the node would start a
daemon that outlives it.
"""

import asyncio
import shutil
import signal
import time
from pathlib import Path

import httpx

from cli.local_stack.atomic_file import write_private
from cli.local_stack.broker_files import (
    BrokerIdentity,
    BrokerPorts,
    broker_identity,
    node_environment,
    pick_ports,
    write_settings,
)
from cli.local_stack.broker_modules import lay_out
from cli.local_stack.broker_programs import BrokerPrograms
from cli.local_stack.ports import LOOPBACK, is_listening
from cli.local_stack.processes import ChildProcess, ProcessSpec, spawn
from cli.local_stack.servers import BrokerAddress, ServerFailedError
from cli.local_stack.waiting import wait_until

_READY_SECONDS = 90.0
_STOP_SECONDS = 20.0


class PrivateBroker:
    """A RabbitMQ node whose files all lie in one folder."""

    def __init__(self, folder: Path, programs: BrokerPrograms) -> None:
        self._folder = folder.resolve()
        self._programs = programs
        self._children: list[ChildProcess] = []
        self._prepared: tuple[BrokerIdentity, BrokerPorts] | None = None
        self._is_ready = False

    def processes(self) -> list[ChildProcess]:
        """Return the port mapper and the node, in this order."""
        return list(self._children)

    async def prepare(self) -> BrokerAddress:
        """Write what the node reads, and return the address that it will have."""
        if self._prepared is None:
            self._make_folders()
        identity, ports = self._identity_and_ports()
        write_settings(self._folder, identity, ports)
        return _address(identity, ports)

    async def start(self) -> BrokerAddress:
        """Start the node and return its address once it takes connections.

        Raises:
            ServerFailedError: The node ended, or was not ready in time.
        """
        address = await self.prepare()
        identity, ports = self._identity_and_ports()
        await self._start_children(node_environment(self._folder, identity, ports), ports)
        await self._wait_ready(identity, ports)
        self._is_ready = True
        self._first_boot.unlink(missing_ok=True)
        return address

    async def stop(self, *, discard: bool = False) -> None:
        """End the node, cleanly or at once, and then its port mapper.

        A node that still boots does not listen to SIGTERM; it has taken nothing that it could lose.
        """
        for child in reversed(self._children):
            if discard or not self._is_ready:
                child.kill()
            await child.stop(_STOP_SECONDS)
        self._children.clear()
        self._prepared, self._is_ready = None, False
        if discard:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _identity_and_ports(self) -> tuple[BrokerIdentity, BrokerPorts]:
        if self._prepared is None:
            self._prepared = broker_identity(self._folder), pick_ports()
        return self._prepared

    @property
    def _first_boot(self) -> Path:
        """Return the file that is there until the node has been ready once."""
        return self._folder / "first-boot"

    def _make_folders(self) -> None:
        data = self._folder / "data"
        if self._first_boot.exists():
            shutil.rmtree(data, ignore_errors=True)  # half made: no node would start on it
        if not data.exists():
            write_private(self._first_boot, "")
        for folder in (data, self._folder / "log"):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    async def _start_children(self, environment: dict[str, str], ports: BrokerPorts) -> None:
        mapper = spawn(
            ProcessSpec(
                name="epmd",
                arguments=(str(self._programs.port_mapper),),
                environment=environment,
                log_file=self._folder / "log" / "epmd.log",
            )
        )
        self._children = [mapper]
        deadline = time.monotonic() + 10
        start = lay_out(self._programs, self._folder)
        await wait_until(lambda: is_listening(ports.port_mapper), deadline)
        node = spawn(
            ProcessSpec(
                name="rabbitmq",
                arguments=(str(start.server),),
                environment=environment | dict(start.environment),
                log_file=self._folder / "log" / "rabbitmq.log",
                orphan_signal=signal.SIGTERM,
                directory=self._folder,
            )
        )
        self._children.append(node)

    async def _wait_ready(self, identity: BrokerIdentity, ports: BrokerPorts) -> None:
        deadline = time.monotonic() + _READY_SECONDS
        node = self._children[-1]
        async with httpx.AsyncClient(auth=(identity.user, identity.password)) as client:
            while not (is_listening(ports.amqp) and await _answers(client, ports.management)):
                if node.exit_status() is not None or time.monotonic() > deadline:
                    await self.stop()
                    raise ServerFailedError(
                        f"RabbitMQ did not start: see {self._folder / 'log' / 'rabbitmq.log'}"
                    )
                await asyncio.sleep(0.05)


async def _answers(client: httpx.AsyncClient, port: int) -> bool:
    try:
        answer = await client.get(f"http://{LOOPBACK}:{port}/api/whoami")
    except httpx.HTTPError:
        return False
    return answer.is_success


def _address(identity: BrokerIdentity, ports: BrokerPorts) -> BrokerAddress:
    login = f"{identity.user}:{identity.password}@{LOOPBACK}"
    return BrokerAddress(
        url=f"amqp://{login}:{ports.amqp}/", management_url=f"http://{login}:{ports.management}"
    )
