"""What the `sluiceway` command offers.

`--home`, `--url`, `--key` and `--json` belong to every command and may stand anywhere on the line.
"""

from pathlib import Path
from typing import Annotated

import typer

from cli.commands import (
    admin,
    collections,
    jobs,
    models,
    money,
    prices,
    rollouts,
    stack,
    throttling,
)
from cli.options import DEFAULT_HOME, GlobalOptions

app = typer.Typer(
    name="sluiceway",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Durable queues, a ledger of every cent, and spend gates that lose no job.",
)

app.command()(stack.up)
app.command()(stack.demo)
app.command()(stack.simulator)
app.command()(stack.migrate)
app.command()(jobs.chat)
app.command()(collections.ingest)
app.command()(collections.search)
app.command()(money.usage)
app.command()(money.reports)
app.command()(money.reconcile)
app.command()(throttling.audit)
app.add_typer(jobs.app, name="jobs")
app.add_typer(admin.queues, name="queues")
app.add_typer(admin.budgets, name="budgets")
app.add_typer(admin.keys, name="keys")
app.add_typer(throttling.scopes, name="scopes")
app.add_typer(throttling.alerts, name="alerts")
app.add_typer(prices.prices, name="prices")
app.add_typer(rollouts.rollouts, name="rollouts")
app.add_typer(models.models, name="models")


@app.callback()
def read_global_options(
    context: typer.Context,
    home: Annotated[Path, typer.Option(help="Home of the stack.")] = DEFAULT_HOME,
    url: Annotated[
        str | None, typer.Option(envvar="SLUICEWAY_URL", help="Address of the API.")
    ] = None,
    key: Annotated[str | None, typer.Option(envvar="SLUICEWAY_KEY", help="API key.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Read the options that every command has."""
    context.obj = GlobalOptions(url=url, key=key, home=home.resolve(), as_json=as_json)
