"""`sluiceway scopes`, `alerts` and `audit`: whose work is held up, who was told, who did it."""

from typing import Annotated
from urllib.parse import quote

import typer
from pydantic import JsonValue

from cli.api_client import JsonObject
from cli.commands.admin import ReasonOption, UntilOption, list_rows
from cli.options import GlobalOptions, global_options
from cli.output import failures_in_one_line, print_json, print_table

scopes = typer.Typer(invoke_without_command=True, help="Gates of one scope's work.")
alerts = typer.Typer(invoke_without_command=True, help="Alerts and their channels.")

_SCOPE_COLUMNS = ("scope", "queue", "desired", "concurrency", "actor", "reason", "until")
_ALERT_COLUMNS = ("id", "fired_at", "message", "deliveries")
_AUDIT_COLUMNS = ("id", "changed_at", "kind", "scope", "queue", "from", "to", "by", "reason")
_CHANNEL_COLUMNS = ("channel", "state", "last_error")
ScopeArgument = Annotated[str, typer.Argument(help="Such as user:ann or provider:openai.")]
QueueOption = Annotated[list[str] | None, typer.Option(help="May be repeated; all by default.")]


@scopes.callback()
def list_scopes(context: typer.Context) -> None:
    """List the gates that hold a scope's work up; with a command, move one."""
    if context.invoked_subcommand is None:
        list_rows(global_options(context), "/v1/admin/scopes", _SCOPE_COLUMNS)


@scopes.command("pause")
def pause_scope(
    context: typer.Context,
    scope: ScopeArgument,
    reason: ReasonOption,
    until: UntilOption = None,
    queue: QueueOption = None,
) -> None:
    """Stop a scope's work; its jobs wait."""
    _move(global_options(context), f"{_path(scope)}/pause", _body(reason, until, queue))


@scopes.command("resume")
def resume_scope(
    context: typer.Context,
    scope: ScopeArgument,
    reason: ReasonOption = "resumed by hand",
    queue: QueueOption = None,
) -> None:
    """Let a scope's work go on."""
    _move(global_options(context), f"{_path(scope)}/resume", _body(reason, None, queue))


@scopes.command("slow")
def slow_scope(
    context: typer.Context,
    scope: ScopeArgument,
    reason: ReasonOption,
    concurrency: Annotated[int, typer.Option(help="Calls at a time, over all workers.")] = 1,
    queue: QueueOption = None,
) -> None:
    """Let few calls of a scope run at a time."""
    body = _body(reason, None, queue) | {"concurrency": concurrency}
    _move(global_options(context), f"{_path(scope)}/slow", body)


@scopes.command("close")
def close_scope(
    context: typer.Context,
    scope: ScopeArgument,
    reason: ReasonOption,
    until: UntilOption = None,
    queue: QueueOption = None,
) -> None:
    """Take no new jobs of a scope."""
    _move(global_options(context), f"{_path(scope)}/close", _body(reason, until, queue))


@alerts.callback()
def list_alerts(context: typer.Context) -> None:
    """List alerts, oldest first; with a command, try out the channels."""
    if context.invoked_subcommand is None:
        list_rows(global_options(context), "/v1/admin/alerts", _ALERT_COLUMNS)


@alerts.command("test")
def test_alerts(context: typer.Context) -> None:
    """Send a test through every channel; exit status 1 when one does not take it."""
    options = global_options(context)
    with failures_in_one_line():
        answer = options.admin().send("POST", "/v1/admin/alerts/test")
    deliveries = _objects(answer.get("deliveries"))
    if options.as_json:
        print_json(answer)
    else:
        print_table(deliveries, _CHANNEL_COLUMNS)
    if any(one.get("state") != "delivered" for one in deliveries):
        raise typer.Exit(1)


def audit(
    context: typer.Context,
    after: Annotated[int, typer.Option(help="The id of the last change seen.")] = 0,
) -> None:
    """Show every change of gates, budgets and rollouts: who, why, when, from what."""
    query: dict[str, str | None] = {"after": str(after), "limit": "1000"}
    list_rows(global_options(context), "/v1/admin/audit", _AUDIT_COLUMNS, query)


def _path(scope: str) -> str:
    return f"/v1/admin/scopes/{quote(scope, safe=':')}"


def _body(reason: str, until: str | None, queues: list[str] | None) -> JsonObject:
    body: JsonObject = {"reason": reason}
    if until is not None:
        body["until"] = until
    if queues:
        body["queues"] = [*queues]
    return body


def _move(options: GlobalOptions, path: str, body: JsonObject) -> None:
    with failures_in_one_line():
        answer = options.admin().send("POST", path, body)
    if options.as_json:
        print_json(answer)
    else:
        print_table(_objects(answer.get("data")), _SCOPE_COLUMNS)


def _objects(value: JsonValue) -> list[JsonObject]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []
