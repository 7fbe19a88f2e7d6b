"""A broker in a container, for machines with Docker and without a `rabbitmq-server`."""

import asyncio
import shutil
import subprocess
from pathlib import Path

from cli.local_stack.atomic_file import write_private
from cli.local_stack.broker_files import BrokerIdentity, broker_identity
from cli.local_stack.environment import inherited_environment
from cli.local_stack.ports import LOOPBACK, free_ports
from cli.local_stack.processes import ChildProcess, ProcessSpec, spawn
from cli.local_stack.readiness import wait_all_ready
from cli.local_stack.servers import BrokerAddress

_IMAGE = "rabbitmq:4-management"
_STOP_SECONDS = 30.0


class DockerBroker:
    """A RabbitMQ container named after the stack's home."""

    def __init__(self, folder: Path, docker: Path) -> None:
        self._folder = folder.resolve()
        self._docker = docker
        self._children: list[ChildProcess] = []
        self._container = ""
        self._prepared: tuple[BrokerIdentity, int, int] | None = None

    def processes(self) -> list[ChildProcess]:
        """Return the process that holds the container."""
        return list(self._children)

    async def prepare(self) -> BrokerAddress:
        """Return the address that the container will have."""
        identity, amqp, management = self._identity_and_ports()
        login = f"{identity.user}:{identity.password}@{LOOPBACK}"
        return BrokerAddress(
            url=f"amqp://{login}:{amqp}/", management_url=f"http://{login}:{management}"
        )

    async def start(self) -> BrokerAddress:
        """Start the container and return its address once it takes connections.

        Raises:
            ServerFailedError: The container ended, or was not ready in time.
        """
        address = await self.prepare()
        identity, amqp, management = self._identity_and_ports()
        self._container = identity.node.partition("@")[0]
        await self._remove_container()
        child = spawn(self._spec(identity, amqp, management))
        self._children = [child]
        check = f"{address.management_url}/api/health/checks/port-listener/5672"
        await wait_all_ready([(child, check)])
        return address

    async def stop(self, *, discard: bool = False) -> None:
        """End the container."""
        if discard:
            await self._remove_container()
        for child in self._children:
            await child.stop(_STOP_SECONDS)
        await self._remove_container()
        self._children.clear()
        self._prepared = None
        if discard:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _identity_and_ports(self) -> tuple[BrokerIdentity, int, int]:
        if self._prepared is None:
            amqp, management = free_ports(2)
            self._prepared = broker_identity(self._folder), amqp, management
        return self._prepared

    def _spec(self, identity: BrokerIdentity, amqp: int, management: int) -> ProcessSpec:
        secrets_file = self._folder / "container.env"
        login = f"RABBITMQ_DEFAULT_USER={identity.user}\nRABBITMQ_DEFAULT_PASS={identity.password}"
        write_private(secrets_file, f"{login}\n")
        return ProcessSpec(
            name="rabbitmq",
            arguments=(
                str(self._docker),
                *("run", "--rm", "--name", self._container, "--hostname", self._container),
                *("--env-file", str(secrets_file)),
                *("--publish", f"{LOOPBACK}:{amqp}:5672"),
                *("--publish", f"{LOOPBACK}:{management}:15672"),
                _IMAGE,
            ),
            environment=inherited_environment(),
            log_file=self._folder / "log" / "rabbitmq.log",
        )

    async def _remove_container(self) -> None:
        """Remove the container, also one that an interrupted run left."""
        command = [str(self._docker), "rm", "--force", self._container]
        await asyncio.to_thread(lambda: subprocess.run(command, capture_output=True, check=False))
