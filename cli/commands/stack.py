"""`sluiceway up`, `demo`, `simulator` and `migrate`: what runs on this machine."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from cli.local_stack.foreground import run_stack, until_signal
from cli.local_stack.plan import StackOptions, parse_scale
from cli.local_stack.ready_file import ReadyFile
from cli.options import global_options
from cli.output import failures_in_one_line
from shared.settings import BrokerSettings, DatabaseSettings, load

PortOption = Annotated[int | None, typer.Option(min=0, max=65535, help="0 takes a free one.")]


def up(
    context: typer.Context,
    port: PortOption = None,
    console_port: PortOption = None,
    scale: Annotated[str, typer.Option(help="Such as api=1,inference=2.")] = "",
    ready_file: Annotated[
        Path | None, typer.Option(help="Written when all is ready (default: HOME/ready.json).")
    ] = None,
) -> None:
    """Run the whole system in the foreground until Ctrl-C."""
    home = global_options(context).home
    try:
        counts = parse_scale(scale)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--scale") from error
    if console_port is not None:
        typer.echo("sluiceway: this version has no console: --console-port has no effect", err=True)
    options = StackOptions(
        home=home, ready_file=ready_file or home / "ready.json", api_port=port, scale=counts
    )

    async def announce(ready: ReadyFile) -> None:
        typer.echo(_announcement(ready, options.ready_file))
        await until_signal(ready)

    with failures_in_one_line():
        typer.echo("sluiceway: starting broker, database and services …", err=True)
        asyncio.run(run_stack(options, announce))
    typer.echo("sluiceway: stopped, nothing is left running", err=True)


def simulator(
    context: typer.Context,
    port: Annotated[int, typer.Option(min=0, max=65535)] = 8090,
) -> None:
    """Serve both providers' APIs with made-up answers, faults and a bill."""
    from simulator.main import run  # noqa: PLC0415 - its server is needed by this command alone

    with failures_in_one_line():
        run(port, global_options(context).home / "simulator")


def demo(context: typer.Context) -> None:
    """Run the main job on real input, and print what happened."""
    from cli.demo import run  # noqa: PLC0415 - only this command needs it

    with failures_in_one_line():
        raise typer.Exit(run(global_options(context).home))


def migrate() -> None:
    """Bring database and broker to the current schema and topology; safe to repeat."""
    from shared.messaging.declaration import declare  # noqa: PLC0415 - slow to load, rarely needed
    from shared.persistence.migrate import upgrade  # noqa: PLC0415 - as above

    database, broker = load(DatabaseSettings), load(BrokerSettings)
    with failures_in_one_line():
        upgrade(database.url)
        asyncio.run(declare(broker.url, broker.rabbitmq_management_url))
    typer.echo("database and broker are up to date", err=True)


def _announcement(ready: ReadyFile, file: Path) -> str:
    answering = (
        "No provider credentials are set: the built-in SIMULATOR answers, nothing is billed.\n"
        if ready.simulator
        else "The real providers answer, and bill.\n"
    )
    call = (
        f"curl -s {ready.api}/v1/chat/jobs -H 'Authorization: Bearer {ready.keys.free}' "
        "-H 'Content-Type: application/json' "
        """-d '{"messages":[{"role":"user","content":"Why is the sky blue?"}]}'"""
    )
    return (
        f"\nSluiceway is ready at {ready.api}\n{answering}"
        f"Free key: {ready.keys.free}  (all keys and addresses: {file})\n\n"
        f"Try: {call}\n\nCtrl-C stops everything.\n"
    )
