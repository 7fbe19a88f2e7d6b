"""`sluiceway chat` and `sluiceway jobs`: submit, list, show, watch and cancel."""

from typing import Annotated

import typer
from pydantic import JsonValue

from cli.api_client import JsonObject
from cli.event_stream import event_line, job_events
from cli.options import GlobalOptions, global_options
from cli.output import failures_in_one_line, print_fields, print_json, print_table, rows_of

_COLUMNS = ("id", "kind", "status", "queue", "provider", "model", "cost_usd", "created_at")

app = typer.Typer(no_args_is_help=True, help="Your jobs.")


def chat(
    context: typer.Context,
    prompt: str,
    model: str = "auto",
    watch: Annotated[bool, typer.Option("--watch", help="Print the answer as it comes.")] = False,
) -> None:
    """Submit a chat job."""
    options = global_options(context)
    body: JsonObject = {"model": model, "messages": [{"role": "user", "content": prompt}]}
    with failures_in_one_line():
        job = options.user().send("POST", "/v1/chat/jobs", body)
        if watch:
            _follow(options, str(job["id"]))
        else:
            _print(options, job)


@app.command("list")
def list_jobs(
    context: typer.Context,
    status: Annotated[str | None, typer.Option(help="Only jobs in this status.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=100)] = 20,
    after: Annotated[str | None, typer.Option(help="Start after this job.")] = None,
) -> None:
    """List your jobs, the newest first."""
    options = global_options(context)
    with failures_in_one_line():
        page = options.user().get("/v1/jobs", status=status, limit=limit, after=after)
    if options.as_json:
        print_json(page)
    else:
        print_table(rows_of(page), _COLUMNS)


@app.command()
def show(context: typer.Context, job_id: str) -> None:
    """Show one job."""
    options = global_options(context)
    with failures_in_one_line():
        _print(options, options.user().get(f"/v1/jobs/{job_id}"))


@app.command()
def watch(context: typer.Context, job_id: str) -> None:
    """Print a job's answer as it comes; exit status 1 unless it succeeds."""
    with failures_in_one_line():
        _follow(global_options(context), job_id)


@app.command()
def cancel(context: typer.Context, job_id: str) -> None:
    """Cancel a job."""
    options = global_options(context)
    with failures_in_one_line():
        _print(options, options.user().send("DELETE", f"/v1/jobs/{job_id}"))


def _follow(options: GlobalOptions, job_id: str) -> None:
    last: JsonValue = None
    for event in job_events(options.access(), job_id):
        last = event.get("type")
        if options.as_json:
            typer.echo(event_line(event))
        else:
            _show_event(event)
    if last != "job.completed":
        raise typer.Exit(1)


def _show_event(event: JsonObject) -> None:
    match event.get("type"):
        case "job.delta":
            typer.echo(event.get("text"), nl=False)
        case "job.reset":
            typer.echo("\n[starting again with another provider]", err=True)
        case "job.completed":
            cost, provider = event.get("cost_usd"), event.get("provider")
            typer.echo(f"\n[{provider} {event.get('model')}, ${cost}]", err=True)
        case "job.status":
            typer.echo(f"[{event.get('status')}]", err=True)
        case other:
            typer.echo(f"\n[{other}] {event.get('error', '')}", err=True)


def _print(options: GlobalOptions, job: JsonObject) -> None:
    if options.as_json:
        print_json(job)
    elif job:
        print_fields(job)
