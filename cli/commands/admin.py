"""`sluiceway queues`, `budgets` and `keys`: what an administrator does."""

from typing import Annotated
from urllib.parse import quote

import typer
from pydantic import JsonValue

from cli.api_client import JsonObject
from cli.options import GlobalOptions, global_options
from cli.output import failures_in_one_line, print_fields, print_json, print_table, rows_of
from cli.thresholds import parse_threshold

queues = typer.Typer(invoke_without_command=True, help="Queues and their gates.")
budgets = typer.Typer(no_args_is_help=True, help="Spending limits.")
keys = typer.Typer(no_args_is_help=True, help="API keys.")

_QUEUE_COLUMNS = ("name", "desired", "actual", "ready", "unacked", "consumers", "reason", "until")
_BUDGET_COLUMNS = ("scope", "window", "limit_usd", "spent_usd", "thresholds")
_KEY_COLUMNS = ("id", "user_id", "tier", "scopes", "expires_at")
ReasonOption = Annotated[str, typer.Option(help="Shown to whoever waits.")]
UntilOption = Annotated[str | None, typer.Option(help="Reopen at this time (ISO 8601).")]


@queues.callback()
def list_queues(context: typer.Context) -> None:
    """List queues and their gates; with a command, move one."""
    if context.invoked_subcommand is None:
        list_rows(global_options(context), "/v1/admin/queues", _QUEUE_COLUMNS)


@queues.command()
def pause(
    context: typer.Context, name: str, reason: ReasonOption, until: UntilOption = None
) -> None:
    """Stop work; jobs wait."""
    _move(global_options(context), name, "pause", reason, until)


@queues.command()
def resume(context: typer.Context, name: str, reason: ReasonOption = "resumed by hand") -> None:
    """Let work go on."""
    _move(global_options(context), name, "resume", reason, None)


@queues.command()
def slow(
    context: typer.Context, name: str, reason: ReasonOption, until: UntilOption = None
) -> None:
    """Work slower."""
    _move(global_options(context), name, "slow", reason, until)


@queues.command()
def close(
    context: typer.Context, name: str, reason: ReasonOption, until: UntilOption = None
) -> None:
    """Take no new jobs."""
    _move(global_options(context), name, "close", reason, until)


@budgets.command("show")
def show_budget(
    context: typer.Context,
    scope: Annotated[str | None, typer.Argument(help="Such as global or user:ann.")] = None,
    window: Annotated[str | None, typer.Option(help="day or month")] = None,
) -> None:
    """Show a budget and what of it is spent; without a scope, list all."""
    if scope is None:
        list_rows(global_options(context), "/v1/admin/budgets", _BUDGET_COLUMNS)
        return
    answer = f"/v1/admin/budgets/{quote(scope, safe=':')}{_window_query(window)}"
    show(global_options(context), "GET", answer)


@budgets.command("delete")
def delete_budget(
    context: typer.Context,
    scope: str,
    window: Annotated[str | None, typer.Option(help="day or month; both by default.")] = None,
) -> None:
    """Remove a budget with its gates."""
    path = f"/v1/admin/budgets/{quote(scope, safe=':')}{_window_query(window)}"
    show(global_options(context), "DELETE", path)


@budgets.command("set")
def set_budget(
    context: typer.Context,
    scope: str,
    window: Annotated[str, typer.Option(help="day or month")] = "day",
    limit: Annotated[str | None, typer.Option(help="Hard limit in USD.")] = None,
    reason: Annotated[str, typer.Option(help="For the audit trail.")] = "",
    threshold: Annotated[
        list[str] | None, typer.Option(help="AT_USD:ACTION[:QUEUE,QUEUE], may be repeated.")
    ] = None,
) -> None:
    """Replace a scope's budget of a window."""
    try:
        thresholds: list[JsonValue] = [parse_threshold(text) for text in threshold or []]
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--threshold") from error
    body: JsonObject = {"window": window, "thresholds": thresholds, "reason": reason}
    if limit is not None:
        body["limit_usd"] = limit
    show(global_options(context), "PUT", f"/v1/admin/budgets/{quote(scope, safe=':')}", body)


@keys.command("create")
def create_key(
    context: typer.Context,
    user: Annotated[str, typer.Option(help="Whose key.")],
    tier: Annotated[str, typer.Option(help="free, paid, premium or admin")] = "free",
    scope: Annotated[list[str] | None, typer.Option(help="May be repeated.")] = None,
) -> None:
    """Create a key; it is shown only now."""
    scopes: list[JsonValue] = list(scope or ["jobs"])
    body: JsonObject = {"user_id": user, "tier": tier, "scopes": scopes}
    show(global_options(context), "POST", "/v1/admin/keys", body)


@keys.command("list")
def list_keys(context: typer.Context) -> None:
    """List keys."""
    list_rows(global_options(context), "/v1/admin/keys", _KEY_COLUMNS)


@keys.command("delete")
def delete_key(context: typer.Context, key_id: str) -> None:
    """Revoke a key."""
    show(global_options(context), "DELETE", f"/v1/admin/keys/{quote(key_id, safe='')}")


def _window_query(window: str | None) -> str:
    return "" if window is None else f"?window={quote(window, safe='')}"


def _move(options: GlobalOptions, name: str, action: str, reason: str, until: str | None) -> None:
    body: JsonObject = {"reason": reason}
    if until is not None:
        body["until"] = until
    show(options, "POST", f"/v1/admin/queues/{quote(name, safe='')}/{action}", body)


def list_rows(
    options: GlobalOptions,
    path: str,
    columns: tuple[str, ...],
    query: dict[str, str | None] | None = None,
) -> None:
    """Print a list's rows."""
    with failures_in_one_line():
        answer = options.admin().get(path, **(query or {}))
    if options.as_json:
        print_json(answer)
    else:
        print_table(rows_of(answer), columns)


def show(options: GlobalOptions, method: str, path: str, body: JsonObject | None = None) -> None:
    """Ask for one thing and print it."""
    with failures_in_one_line():
        answer = options.admin().send(method, path, body)
    _print(options, answer)


def _print(options: GlobalOptions, answer: JsonObject) -> None:
    if options.as_json:
        print_json(answer)
    else:
        print_fields(answer)
