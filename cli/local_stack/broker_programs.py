"""Finds RabbitMQ's own scripts, as Debian, Homebrew and the generic archive lay them out.

The wrappers in Debian's /usr/sbin switch to another user when root runs them, which would give
the node another home and cookie: only the scripts behind them will do.
"""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_SCRIPT_FOLDERS = (
    "/usr/lib/rabbitmq/bin",
    "/opt/homebrew/opt/rabbitmq/sbin",
    "/usr/local/opt/rabbitmq/sbin",
    "/opt/rabbitmq/sbin",
)
_ERLANG_FOLDERS = ("/usr/lib/erlang", "/usr/lib64/erlang", "/usr/local/lib/erlang")


@dataclass(frozen=True, slots=True)
class BrokerPrograms:
    """The two programs of a private node.

    Attributes:
        libraries: Erlang's own applications, when they are where they usually are.
    """

    server: Path
    port_mapper: Path
    libraries: Path | None = None


def find_broker_programs() -> BrokerPrograms | None:
    """Return the programs of the broker on this machine, or None without one."""
    server = next(_servers(), None)
    port_mapper = next(_port_mappers(), None)
    if server is None or port_mapper is None:
        return None
    return BrokerPrograms(server, port_mapper, libraries=next(_libraries(), None))


def _servers() -> Iterator[Path]:
    for folder in _SCRIPT_FOLDERS:
        script = Path(folder) / "rabbitmq-server"
        if script.is_file():
            yield script
    for prefix in (Path("/usr/lib/rabbitmq"), Path("/usr/local/lib"), Path("/opt")):
        yield from sorted(prefix.glob("**/rabbitmq_server-*/sbin/rabbitmq-server"), reverse=True)
    found = shutil.which("rabbitmq-server")
    if found and "wrapper" not in Path(found).resolve().name:
        yield Path(found).resolve()


def _port_mappers() -> Iterator[Path]:
    found = shutil.which("epmd")
    if found:
        yield Path(found)
    for home in _erlang_homes():
        yield from sorted(home.glob("erts-*/bin/epmd"), reverse=True)


def _libraries() -> Iterator[Path]:
    for home in _erlang_homes():
        if any(home.glob("lib/kernel-*")):
            yield home / "lib"


def _erlang_homes() -> list[Path]:
    homes = [Path(folder) for folder in _ERLANG_FOLDERS]
    erlang = shutil.which("erl")
    return [Path(erlang).resolve().parent.parent, *homes] if erlang else homes
