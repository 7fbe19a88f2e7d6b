"""`sluiceway rollouts`: how many users are inside, and how the arms compare."""

from typing import Annotated
from urllib.parse import quote

import typer

from cli.api_client import JsonObject
from cli.commands.admin import list_rows, show
from cli.options import global_options
from cli.output import failures_in_one_line, print_fields, print_json, print_table, rows_of

rollouts = typer.Typer(invoke_without_command=True, help="Rollouts and their arms.")

_PATH = "/v1/admin/rollouts"
_COLUMNS = ("name", "percent", "generation", "changed_at", "changed_by", "reason")
_DAYS = ("today", "yesterday")
_ARM_COLUMNS = (
    "arm",
    "day",
    "requests",
    "fallback_rate",
    "error_rate",
    "cost_per_1000_requests_usd",
    "p50_ms",
    "p95_ms",
)
NameArgument = Annotated[str, typer.Argument(help="Such as cloudflare.")]


@rollouts.callback()
def list_rollouts(context: typer.Context) -> None:
    """List rollouts; with a command, show or move one."""
    if context.invoked_subcommand is None:
        list_rows(global_options(context), _PATH, _COLUMNS)


@rollouts.command("show")
def show_rollout(context: typer.Context, name: NameArgument) -> None:
    """Show a rollout, and what each arm came to yesterday and today."""
    options = global_options(context)
    with failures_in_one_line():
        answer = options.admin().get(_path(name))
    if options.as_json:
        print_json(answer)
        return
    print_fields({key: value for key, value in answer.items() if key != "arms"})
    print_table([row for arm in rows_of(answer, "arms") for row in _days(arm)], _ARM_COLUMNS)


@rollouts.command("set")
def set_rollout(
    context: typer.Context,
    name: NameArgument,
    percent: Annotated[str, typer.Argument(help="Of all users, 0 to 100.")],
    reason: Annotated[str, typer.Option(help="For the audit trail.")] = "",
) -> None:
    """Let this percentage of users in; whoever is inside stays so when it is raised."""
    body: JsonObject = {"percent": percent, "reason": reason}
    show(global_options(context), "PUT", _path(name), body)


def _path(name: str) -> str:
    return f"{_PATH}/{quote(name, safe='')}"


def _days(arm: JsonObject) -> list[JsonObject]:
    days = (arm.get(day) for day in _DAYS)
    return [{"arm": arm.get("arm"), **day} for day in days if isinstance(day, dict)]
