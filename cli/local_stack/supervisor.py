"""Runs a whole stack: starts it, keeps it running, and ends it in the order that loses nothing.

Invariant: whatever way the stack ends, none of its processes stays: services drain first, then
the simulator, then broker and database; leftovers of a killed run end at the next start.
"""

import asyncio
import sys
from contextlib import ExitStack
from functools import partial

from cli.local_stack.backends import Addresses, Backends
from cli.local_stack.demo_keys import demo_keys
from cli.local_stack.leftovers import end_leftovers, lock_home, record
from cli.local_stack.plan import StackOptions, StackPlan, make_plan, service_settings
from cli.local_stack.ports import LOOPBACK, free_ports
from cli.local_stack.processes import ChildProcess, spawn
from cli.local_stack.readiness import wait_all_ready
from cli.local_stack.ready_file import DemoKeys, ReadyFile, RunningProcess, write_ready_file
from cli.local_stack.restarts import keep_running
from cli.local_stack.services import (
    MODULE_BY_SERVICE,
    make_service,
    make_simulator,
    service_names,
    simulator_settings,
)
from cli.local_stack.shared_start import SharedStart

_DRAIN_SECONDS = 30.0


class Stack:
    """One stack in one home; `start` it, and `stop` it whatever happened.

    Raises:
        UnusablePlanError: The stack cannot start as asked.
        HomeInUseError: Another stack runs in this home.
    """

    def __init__(self, options: StackOptions) -> None:
        options.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._options = options
        self._plan: StackPlan = make_plan(options)
        self._backends = Backends(options.home, self._plan.given)
        self._held = ExitStack()
        self._held.enter_context(lock_home(options.home))
        self._simulator: list[ChildProcess] = []
        self._services: list[ChildProcess] = []
        self._keepers: list[asyncio.Task[None]] = []
        self._ready: ReadyFile | None = None
        self._shared = SharedStart(
            tuple(MODULE_BY_SERVICE.values()), options.home / "logs" / "loading.log"
        )

    async def start(self) -> ReadyFile:
        """Start everything and return what the ready file says.

        Raises:
            ServerFailedError: A process did not become ready; the message names its log.
            httpx.HTTPError: The API did not make the demo keys.
        """
        self._options.ready_file.unlink(missing_ok=True)
        for name in await end_leftovers(self._options.home):
            _report(f"ended {name}, left by an interrupted run")
        self._shared.begin()
        waiting = self._start_simulator()
        addresses = await self._backends.start(
            on_migrated=lambda addresses: self._start_services(addresses, waiting)
        )
        await wait_all_ready(waiting)
        keys = await demo_keys(
            self._api, self._plan.admin_key, self._options.home / "demo-keys.json"
        )
        self._ready = self._describe(addresses, keys)
        self._keep_running()
        self._processes_changed()
        return self._ready

    async def stop(self) -> None:
        """Drain the services and end everything; safe after a failed start."""
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*self._keepers, return_exceptions=True)
        self._options.ready_file.unlink(missing_ok=True)
        self._shared.end()
        await asyncio.gather(*(child.stop(_DRAIN_SECONDS) for child in self._services))
        await asyncio.gather(*(child.stop(_DRAIN_SECONDS) for child in self._simulator))
        await self._backends.stop(discard=self._options.discard)
        (self._options.home / "processes.json").unlink(missing_ok=True)
        self._held.close()

    def kill(self) -> None:
        """End everything at once, without draining."""
        for child in self._children():
            child.kill()

    @property
    def _api(self) -> str:
        return f"http://{LOOPBACK}:{self._plan.api_port}"

    def _start_simulator(self) -> list[tuple[ChildProcess, str]]:
        port = self._plan.simulator_port
        if port is None:
            return []
        service = make_simulator(port, self._options.home, self._options.home / "logs")
        child = spawn(service.spec)
        self._simulator.append(child)
        self._record()
        return [(child, service.ready_url)]

    async def _start_services(
        self, addresses: Addresses, waiting: list[tuple[ChildProcess, str]]
    ) -> None:
        names = service_names(self._options.scale)
        ports = [self._plan.api_port, *free_ports(len(names) - 1)]
        settings = service_settings(self._plan) | addresses.settings()
        if self._plan.simulator_port is not None:
            settings |= simulator_settings(self._plan.simulator_port)
        logs = self._options.home / "logs"
        services = [
            make_service(name, module, port, settings, logs)
            for (name, module), port in zip(names, ports, strict=True)
        ]
        self._services += await self._shared.finish([service.spec for service in services])
        self._record()
        urls = [service.ready_url for service in services]
        waiting += zip(self._services, urls, strict=True)

    def _keep_running(self) -> None:
        keep = partial(keep_running, report=_report, on_restart=self._processes_changed)
        self._keepers = [asyncio.create_task(keep(child)) for child in self._children()]

    def _children(self) -> list[ChildProcess]:
        return [*self._services, *self._simulator, *self._backends.processes()]

    def _record(self) -> None:
        record(self._options.home, [child.identity for child in self._children()])

    def _processes_changed(self) -> None:
        self._record()
        if self._ready is not None:
            self._ready = self._ready.model_copy(update={"processes": self._running()})
            write_ready_file(self._options.ready_file, self._ready)

    def _running(self) -> tuple[RunningProcess, ...]:
        return tuple(
            RunningProcess(name=child.spec.name, pid=child.pid) for child in self._children()
        )

    def _describe(self, addresses: Addresses, keys: DemoKeys) -> ReadyFile:
        port = self._plan.simulator_port
        return ReadyFile(
            api=self._api,
            console=None,
            simulator=None if port is None else f"http://{LOOPBACK}:{port}",
            admin_key=self._plan.admin_key,
            keys=keys,
            database_url=addresses.database_url,
            rabbitmq_url=addresses.broker.url,
            rabbitmq_management_url=addresses.broker.management_url,
            processes=self._running(),
        )


def _report(line: str) -> None:
    sys.stderr.write(f"sluiceway: {line}\n")
