"""`sluiceway models`: whether the routed models still live, and who takes over when they end."""

import asyncio
import time

import typer

from cli.api_client import ApiClient, ApiFailedError, JsonObject
from cli.options import GlobalOptions, global_options
from cli.output import failures_in_one_line, print_json, print_table, rows_of

models = typer.Typer(invoke_without_command=True, help="Models that routes lead to.")

_PROVIDERS = "/v1/admin/providers"
_COLUMNS = ("provider", "model", "state", "retires_on", "successor", "checked_at")
_GONE = frozenset({"retired", "missing"})
_PATIENCE_SECONDS = 150.0
_POLL_SECONDS = 0.1


@models.callback()
def list_models(context: typer.Context) -> None:
    """List models as the last check found them; with a command, check them now."""
    if context.invoked_subcommand is None:
        options = global_options(context)
        with failures_in_one_line():
            answer = options.admin().get(_PROVIDERS)
        _print(options, answer)


@models.command()
def check(context: typer.Context) -> None:
    """Ask the providers now; exit status 1 when a model is gone or a list cannot be read."""
    options = global_options(context)
    with failures_in_one_line():
        client = options.admin()
        asyncio.run(_checked(client))
        answer = client.get(_PROVIDERS)
    _print(options, answer)
    if any(row["state"] in _GONE for row in _rows(answer)) or _unread(answer):
        raise typer.Exit(1)


async def _checked(client: ApiClient) -> None:
    demanded = client.send("POST", f"{_PROVIDERS}/check")
    path = f"{_PROVIDERS}/checks/{demanded.get('id')}"
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while client.get(path).get("finished_at") is None:
        if time.monotonic() > deadline:
            raise ApiFailedError(
                f"no worker has made the check within {_PATIENCE_SECONDS:g} s: "
                "does an inference worker run?"
            )
        await asyncio.sleep(_POLL_SECONDS)


def _print(options: GlobalOptions, answer: JsonObject) -> None:
    if options.as_json:
        print_json(answer)
        return
    print_table(_rows(answer), _COLUMNS)
    for provider in _unread(answer):
        typer.echo(
            f"the list of {provider.get('provider')} cannot be read, its models are as of "
            f"{provider.get('list_checked_at') or 'never'}: {provider.get('list_error')}",
            err=True,
        )


def _rows(answer: JsonObject) -> list[JsonObject]:
    return [
        {"provider": provider.get("provider"), **model}
        for provider in rows_of(answer)
        for model in rows_of(provider, "models")
    ]


def _unread(answer: JsonObject) -> list[JsonObject]:
    return [one for one in rows_of(answer) if one.get("list_error") is not None]
