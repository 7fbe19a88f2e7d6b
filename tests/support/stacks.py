"""Whole stacks for tests, each in a process of its own as `sluiceway up` starts it.

Invariant: a stack of a test never reaches a real provider, and nothing of it is left at its end.
"""

import asyncio
from collections.abc import AsyncGenerator, Generator, Mapping
from contextlib import (
    AbstractAsyncContextManager,
    ExitStack,
    asynccontextmanager,
    contextmanager,
)
from dataclasses import dataclass, replace
from pathlib import Path
from sys import executable
from typing import TypeVar

import psycopg

from cli.local_stack.environment import inherited_environment
from cli.local_stack.ports import free_ports
from cli.local_stack.processes import ChildProcess, ProcessSpec, spawn
from cli.local_stack.readiness import wait_all_ready
from cli.local_stack.ready_file import ReadyFile, read_ready_file
from cli.local_stack.services import PROJECT, make_service, simulator_settings
from shared.persistence.migrate import upgrade
from tests.support.servers import (
    ServerChoice,
    broker_server,
    database_server,
    fresh_database,
    fresh_virtual_host,
)
from tests.support.waiting import wait_until

HeldT = TypeVar("HeldT")
_START_SECONDS = 100.0
_STOP_SECONDS = 60.0
_NO_PROVIDERS = {
    "CLOUDFLARE_ACCOUNT_ID": "",
    "CLOUDFLARE_API_TOKEN": "",
    "OPENAI_API_KEY": "",
    "CLOUDFLARE_ROLLOUT": "1",
    "SLUICEWAY_ADMIN_KEY": "",
    "SLUICEWAY_PRICES": "prices",
    "SLUICEWAY_ROUTING": "deploy/routing.toml",
}


@dataclass(frozen=True, slots=True)
class RunningStack:
    """A stack that was started for a test.

    Attributes:
        supervisor: The process that runs it.
        settings: What its services were told beside the usual.
    """

    home: Path
    supervisor: ChildProcess
    ready: ReadyFile
    settings: Mapping[str, str]

    @property
    def ready_file(self) -> Path:
        """Where the stack says what runs."""
        return self.home / "ready.json"

    def pids(self) -> dict[str, int]:
        """Return the process numbers by name, as they are now; none once the stack has ended."""
        ready = read_ready_file(self.ready_file)
        return {} if ready is None else {one.name: one.pid for one in ready.processes}

    def log(self, process: str) -> str:
        """Return what a process has logged so far."""
        return (self.home / "logs" / f"{process}.log").read_text("utf-8")

    def rows(self, query: str) -> list[tuple[object, ...]]:
        """Ask the stack's database."""
        with psycopg.connect(self.ready.database_url) as connection:
            return connection.execute(query.encode()).fetchall()


def given_servers(held: ExitStack, folder: Path, choice: ServerChoice) -> dict[str, str]:
    """Return the settings of broker and database; empty when the stack brings its own."""
    if choice.services == "local":
        return {"DATABASE_URL": "", "RABBITMQ_URL": "", "RABBITMQ_MANAGEMENT_URL": ""}
    broker = held.enter_context(broker_server(choice, folder))
    virtual_host = held.enter_context(fresh_virtual_host(broker))
    server = held.enter_context(database_server(choice, folder))
    database_url = held.enter_context(fresh_database(server))
    upgrade(database_url)
    return {
        "DATABASE_URL": database_url,
        "RABBITMQ_URL": virtual_host.url,
        "RABBITMQ_MANAGEMENT_URL": virtual_host.management_url,
    }


@contextmanager
def blocking(block: AbstractAsyncContextManager[HeldT]) -> Generator[HeldT]:
    """Hold an asynchronous block open for fixtures that outlive any test's event loop."""
    with asyncio.Runner() as runner:
        held = runner.run(block.__aenter__())
        try:
            yield held
        finally:
            runner.run(_leave(block))


async def _leave(block: AbstractAsyncContextManager[object]) -> None:
    await block.__aexit__(None, None, None)


@asynccontextmanager
async def running_stack(
    home: Path, scale: str, settings: Mapping[str, str] | None = None
) -> AsyncGenerator[RunningStack]:
    """Give a stack that is ready, and stop it at the end of the block.

    Args:
        home: Of an earlier stack, or not there yet.
        scale: Such as `api=1,inference=2`.
        settings: What its services are told beside the usual.
    """
    await asyncio.to_thread(home.mkdir, mode=0o700, parents=True, exist_ok=True)
    told = dict(settings or {})
    with ExitStack() as held:
        servers = given_servers(held, home / "servers", ServerChoice())
        environment = inherited_environment() | _NO_PROVIDERS | servers | told
        # What a killed supervisor left is no sign of life.
        (home / "ready.json").unlink(missing_ok=True)
        supervisor = spawn(_supervisor_spec(home, scale, environment))
        try:
            ready = await _ready(home / "ready.json", supervisor)
            yield RunningStack(home, supervisor, ready, told)
        finally:
            await supervisor.stop(_STOP_SECONDS)


def _supervisor_spec(home: Path, scale: str, environment: Mapping[str, str]) -> ProcessSpec:
    options = ("--home", str(home), "up", "--port", "0", "--scale", scale)
    return ProcessSpec(
        name="supervisor",
        arguments=(executable, "-m", "cli.main", *options),
        environment=environment,
        log_file=home / "supervisor.log",
        directory=PROJECT,
    )


async def _ready(file: Path, supervisor: ChildProcess) -> ReadyFile:
    def is_decided() -> bool:
        return file.exists() or supervisor.exit_status() is not None

    await wait_until(is_decided, _START_SECONDS)
    ready = read_ready_file(file)
    assert ready is not None, supervisor.spec.log_file.read_text("utf-8")
    return ready


@asynccontextmanager
async def extra_process(
    stack: RunningStack, name: str, module: str, *arguments: str, **settings: str
) -> AsyncGenerator["ExtraProcess"]:
    """Give one more process of a stack, started and ready; it is stopped at the end if it lives.

    Args:
        stack: Whose broker and database it uses.
        name: Of the process, unique among those that run.
        module: What to run, such as `services.inference_worker.main`.
        arguments: Its command line.
        settings: What it is told instead of what the stack's own processes are.
    """
    ready = stack.ready
    port = free_ports(1)[0]
    told = {
        "SLUICEWAY_ADMIN_KEY": ready.admin_key,
        "SLUICEWAY_PRICES": str(PROJECT / "prices"),
        "SLUICEWAY_ROUTING": str(PROJECT / "deploy/routing.toml"),
        "DATABASE_URL": ready.database_url,
        "RABBITMQ_URL": ready.rabbitmq_url,
        "RABBITMQ_MANAGEMENT_URL": ready.rabbitmq_management_url,
        "CLOUDFLARE_ROLLOUT": "1",
        **simulator_settings(int((ready.simulator or ":0").rpartition(":")[2])),
        **stack.settings,
        **settings,
    }
    service = make_service(name, module, port, told, stack.home / "logs")
    spec = replace(service.spec, arguments=(*service.spec.arguments, *arguments), directory=PROJECT)
    child = spawn(spec)
    try:
        await wait_all_ready([(child, service.ready_url)])
        yield ExtraProcess(child, f"http://127.0.0.1:{port}")
    finally:
        await child.stop(_STOP_SECONDS)


@dataclass(frozen=True, slots=True)
class ExtraProcess:
    """One more process of a stack."""

    child: ChildProcess
    url: str

    async def kills_itself_within(self, seconds: float) -> bool:
        """Wait for the process to end by its own SIGKILL."""
        return await self.child.ended_within(seconds) and self.child.exit_status() == -9
