"""Runs the demo: a stack of its own, five steps on it as a client, and an end without leftovers."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx
from pydantic import ValidationError
from rich.console import Console
from websockets.exceptions import WebSocketException

from cli.demo.failure import DemoFailedError
from cli.demo.fresh_home import empty_home
from cli.demo.screen import Screen
from cli.demo.stage import Stage, make_stage
from cli.demo.steps.bill import show_bill
from cli.demo.steps.budget import show_budget
from cli.demo.steps.chat import show_chat
from cli.demo.steps.documents import show_documents
from cli.demo.steps.providers import show_providers
from cli.local_stack.foreground import run_stack
from cli.local_stack.plan import StackOptions, UnusablePlanError
from cli.local_stack.ready_file import ReadyFile
from shared.settings import StackSettings, load

_STEPS: tuple[Callable[[Stage], Awaitable[None]], ...] = (
    show_providers,
    show_chat,
    show_documents,
    show_budget,
    show_bill,
)
_INTERRUPTED = 130
_PATIENCE_SECONDS = 60.0
_CLIENT_FAILURES = (
    DemoFailedError,
    httpx.HTTPError,
    OSError,
    ValidationError,
    WebSocketException,
)


def run(home: Path) -> int:
    """Run the demo in `home / "demo"` and return the exit status.

    Returns:
        0 when all it shows is so, 1 when something is not, 130 when it was interrupted.

    Raises:
        HomeInUseError: A demo already runs in this home.
        UnusablePlanError: The stack cannot start as the settings ask.
        ServerFailedError: A process did not become ready; the message names its log.
    """
    if load(StackSettings).database_url:
        raise UnusablePlanError(
            "DATABASE_URL is set, but the demo makes a database of its own and replaces budgets: "
            "unset it for the demo"
        )
    screen = Screen(Console(highlight=False))
    try:
        return asyncio.run(_run(home / "demo", screen))
    except KeyboardInterrupt:
        return _INTERRUPTED


async def _run(home: Path, screen: Screen) -> int:
    ended: list[int] = []

    await empty_home(home)
    screen.title("Sluiceway: every job durable, every cent on the ledger")
    screen.note("Starting broker, database and services …")
    started = time.monotonic()

    async def show(ready: ReadyFile) -> None:
        screen.note(f"Ready after {time.monotonic() - started:.0f} s.")
        ended.append(await _show(ready, screen, home / "logs"))

    options = StackOptions(home=home, ready_file=home / "ready.json", api_port=0, discard=True)
    await run_stack(options, show)
    if ended == [0]:
        await empty_home(home)
        _say_goodbye(screen, time.monotonic() - started)
    if not ended:
        screen.title("Interrupted; everything has ended, nothing is left running.")
    return ended[0] if ended else _INTERRUPTED


async def _show(ready: ReadyFile, screen: Screen, logs: Path) -> int:
    try:
        async with httpx.AsyncClient(timeout=_PATIENCE_SECONDS) as http:
            stage = make_stage(screen, http, ready, logs)
            for show_step in _STEPS:
                await show_step(stage)
    except _CLIENT_FAILURES as error:
        screen.failure(str(error) or type(error).__name__)
        screen.note(f"The processes' logs: {logs}")
        return 1
    return 0


def _say_goodbye(screen: Screen, seconds: float) -> None:
    screen.title(f"Done in {seconds:.0f} s; everything has ended, nothing is left running.")
    screen.note("make up     the same stack in the foreground, with keys to try it")
    screen.note("make test   every test")
    screen.note("README.md   what to call; docs/ how it works; examples/ clients to copy")
