"""The embedded PostgreSQL server with pgvector, on the loopback interface only.

Its password is random and asked for on every connection, so that other users of the machine
cannot read the data.
"""

import asyncio
import shutil
import signal
import time
from pathlib import Path

import psycopg

from cli.local_stack.database_files import DatabaseFiles, prepare_files
from cli.local_stack.environment import inherited_environment
from cli.local_stack.ports import LOOPBACK, free_ports
from cli.local_stack.processes import ChildProcess, ProcessSpec, spawn
from cli.local_stack.servers import ServerFailedError

_NAME = "sluiceway"
_OTHER = "template1"
"""A database that is always there."""
_READY_SECONDS = 60.0
_STOP_SECONDS = 20.0
_SETTINGS = {
    "listen_addresses": LOOPBACK,
    "unix_socket_directories": "",
    "shared_buffers": "256MB",
    "max_connections": "200",
    "synchronous_commit": "on",
    "max_wal_size": "2GB",
    "min_wal_size": "256MB",
    "wal_compression": "on",
    "checkpoint_timeout": "15min",
    "jit": "off",
    "random_page_cost": "1.1",
    "timezone": "UTC",
    "log_timezone": "UTC",
}


class EmbeddedDatabase:
    """A PostgreSQL server that belongs to one home.

    Args:
        location: Where its data belongs; a link to the data when root starts it.
        log_file: Its log.
        durable: False gives up crash safety for speed, for tests that throw the data away.
    """

    def __init__(self, location: Path, log_file: Path, *, durable: bool = True) -> None:
        self._location = location
        self._log_file = log_file
        self._durable = durable
        self._files: DatabaseFiles | None = None
        self._server: ChildProcess | None = None
        self._preparing: asyncio.Task[DatabaseFiles] | None = None

    def processes(self) -> list[ChildProcess]:
        """Return the server, when it has been started."""
        return [self._server] if self._server else []

    async def start(self) -> str:
        """Start the server and return the database's address once it answers.

        Raises:
            ServerFailedError: The server ended, or was not ready in time.
        """
        files = await self._prepare()
        password = files.password()
        if not files.is_initialized:
            await self._initialize(files)
        port = free_ports(1)[0]
        self._server = spawn(self._server_spec(files, port))
        address = f"postgresql://{_NAME}:{password}@{LOOPBACK}:{port}"
        await self._wait_ready(address)
        await asyncio.to_thread(_name_database, address)
        files.mark_initialized()
        return f"{address}/{_NAME}"

    async def stop(self, *, discard: bool = False) -> None:
        """End the server, cleanly or at once; what is not complete is removed."""
        if self._preparing is not None:
            await asyncio.wait({self._preparing})
        if self._server is not None:
            if discard:
                self._server.signal(signal.SIGQUIT)
            await self._server.stop(_STOP_SECONDS)
            self._server = None
        if self._files is not None:
            await asyncio.to_thread(self._files.remove if discard else self._files.keep)
            self._files = None

    @property
    def is_new(self) -> bool:
        """Tell whether no data of an earlier run is there."""
        return not (self._location / "initialized").exists()

    async def _prepare(self) -> DatabaseFiles:
        """Return the files once they are there; a cancelled start leaves that to `stop`."""

        async def prepare() -> DatabaseFiles:
            self._files = await asyncio.to_thread(prepare_files, self._location)
            return self._files

        preparing = self._preparing = asyncio.create_task(prepare())
        files = await asyncio.shield(preparing)
        self._preparing = None
        return files

    async def _initialize(self, files: DatabaseFiles) -> None:
        await asyncio.to_thread(shutil.rmtree, files.data, ignore_errors=True)
        self._server = spawn(self._spec(files, *_initialize_command(files), stop=signal.SIGKILL))
        await self._server.ended()
        if self._server.exit_status() != 0:
            raise ServerFailedError(f"PostgreSQL could not make its data: see {self._log_file}")

    def _server_spec(self, files: DatabaseFiles, port: int) -> ProcessSpec:
        settings = _SETTINGS | {"port": str(port)}
        if not self._durable:
            settings |= {"fsync": "off", "full_page_writes": "off"}
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        program = str(files.programs / "bin" / "postgres")
        return self._spec(files, program, "-D", str(files.data), *options, stop=signal.SIGINT)

    def _spec(self, files: DatabaseFiles, *arguments: str, stop: signal.Signals) -> ProcessSpec:
        return ProcessSpec(
            name="postgres",
            arguments=arguments,
            environment=inherited_environment(),
            log_file=self._log_file,
            stop_signal=stop,
            orphan_signal=stop,
            account=files.account,
            directory=files.folder,
        )

    async def _wait_ready(self, address: str) -> None:
        deadline = time.monotonic() + _READY_SECONDS
        while not await asyncio.to_thread(_answers, address):
            ended = not self._server or self._server.exit_status() is not None
            if ended or time.monotonic() > deadline:
                await self.stop()
                raise ServerFailedError(f"PostgreSQL did not start: see {self._log_file}")
            await asyncio.sleep(0.03)


def _initialize_command(files: DatabaseFiles) -> list[str]:
    return [
        str(files.programs / "bin" / "initdb"),
        *("-D", str(files.data), "-U", _NAME, "-E", "UTF8", "--locale=C"),
        *("--auth=scram-sha-256", f"--pwfile={files.password_file}"),
        *("--no-sync", "--no-instructions"),
    ]


def _answers(address: str) -> bool:
    try:
        psycopg.connect(f"{address}/{_OTHER}", connect_timeout=3).close()
    except psycopg.OperationalError:
        return False
    return True


def _name_database(address: str) -> None:
    """Give the empty database that every server is made with our name: making one is slow."""
    with psycopg.connect(f"{address}/{_OTHER}", autocommit=True) as connection:
        found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (_NAME,))
        if found.fetchone() is None:
            connection.execute(f'ALTER DATABASE "postgres" RENAME TO "{_NAME}"')
