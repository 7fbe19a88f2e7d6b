"""What the supervisor needs from a server that it starts, whatever the server is."""

from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import urlsplit

from cli.local_stack.processes import ChildProcess


class ServerFailedError(Exception):
    """A server did not become ready; the message names its log."""


@dataclass(frozen=True, slots=True)
class BrokerAddress:
    """Where a broker answers; both addresses hold its password."""

    url: str = field(repr=False)
    management_url: str = field(repr=False)


def usual_management_url(amqp_url: str) -> str:
    """Return where a broker's management API answers unless its owner moved it."""
    parts = urlsplit(amqp_url)
    login, separator, _ = parts.netloc.rpartition("@")
    return f"http://{login}{separator}{parts.hostname}:15672"


class Server(Protocol):
    """A server of the stack's own."""

    def processes(self) -> list[ChildProcess]:
        """Return its running processes, the main one last."""
        ...

    async def stop(self, *, discard: bool) -> None:
        """End it; with `discard` at once and without keeping its data."""
        ...


class BrokerServer(Server, Protocol):
    """A broker of the stack's own."""

    async def prepare(self) -> BrokerAddress:
        """Return where it will answer."""
        ...

    async def start(self) -> BrokerAddress:
        """Start it, prepared or not, and return where it answers, once it does."""
        ...


class DatabaseServer(Server, Protocol):
    """A database of the stack's own."""

    async def start(self) -> str:
        """Start it and return its address, once it answers."""
        ...
