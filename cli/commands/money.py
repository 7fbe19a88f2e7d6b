"""`sluiceway usage`, `reports` and `reconcile`: what was spent, and the proof that it adds up."""

from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import quote

import typer

from cli.api_client import JsonObject
from cli.options import GlobalOptions, global_options
from cli.output import failures_in_one_line, print_fields, print_json, print_table, rows_of

Period = Literal["daily", "weekly", "monthly"]
_SUMS = ("requests", "input_tokens", "output_tokens", "cost_usd", "list_cost_usd")
_RATES = ("fallbacks", "errors", "p50_ms", "p95_ms", "p99_ms")
_ADJUSTMENT_COLUMNS = ("id", "corrects", "user_id", "model", "cost_usd")
_DAY_COLUMNS = ("day", "model", "invoice_usd", "ledger_usd", "difference_usd")
_INVOICES = "/v1/admin/reconciliation/invoices"


def usage(
    context: typer.Context,
    group_by: Annotated[
        str, typer.Option(help="Of user,key,tier,provider,model,operation,arm,day.")
    ] = "provider",
    start: Annotated[str | None, typer.Option("--from", help="First day (ISO 8601).")] = None,
    end: Annotated[str | None, typer.Option("--to", help="Last day (ISO 8601).")] = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
) -> None:
    """Show what was used and what it cost."""
    options = global_options(context)
    query = {"group_by": group_by, "from": start, "to": end}
    with failures_in_one_line():
        if as_csv:
            _print_as_it_comes(options, "/v1/admin/usage", **query, format="csv")
            return
        answer = options.admin().get("/v1/admin/usage", **query)
    if options.as_json:
        print_json(answer)
    else:
        print_table(rows_of(answer), (*group_by.split(","), *_SUMS, *_RATES))


def reports(
    context: typer.Context,
    period: Annotated[Period, typer.Argument(help="Of a day, a week or a month.")] = "daily",
    date: Annotated[str | None, typer.Option(help="A day of the period (ISO 8601).")] = None,
) -> None:
    """Show a period's costs by user and provider, rates, latencies and savings."""
    options = global_options(context)
    path = f"/v1/admin/reports/{period}"
    with failures_in_one_line():
        if options.as_json:
            print_json(options.admin().get(path, date=date))
        else:
            _print_as_it_comes(options, path, date=date, format="text")


def reconcile(
    context: typer.Context,
    invoice: Annotated[
        Path | None, typer.Option(help="A provider's invoice (CSV) to compare with.")
    ] = None,
    provider: Annotated[str | None, typer.Option(help="Whose invoice it is.")] = None,
    confirm: Annotated[
        str | None, typer.Option(help="An imported invoice whose adjustments to book.")
    ] = None,
    full: Annotated[bool, typer.Option(help="Read everything anew.")] = False,
) -> None:
    """Compare attempts with the ledger, or the ledger with an invoice; 1 when they differ."""
    options = global_options(context)
    if (invoice is None) != (provider is None):
        raise typer.BadParameter("--invoice and --provider go together")
    with failures_in_one_line():
        if confirm is not None:
            path = f"{_INVOICES}/{quote(confirm, safe='')}/confirm"
            _print_invoice(options, options.admin().send("POST", path))
            return
        if invoice is not None:
            content = invoice.read_bytes()
            path = f"{_INVOICES}?provider={quote(provider or '', safe='')}"
            answer = options.admin().upload(path, content, "text/csv")
            _print_invoice(options, answer)
            raise typer.Exit(1 if rows_of(answer, "adjustments") else 0)
        path = f"/v1/admin/reconciliation?full={str(full).lower()}"
        answer = options.admin().send("POST", path)
    _print(options, answer)
    if _differs(answer):
        raise typer.Exit(1)


def _differs(answer: JsonObject) -> bool:
    counted = ("attempts_without_ledger", "ledger_without_attempt", "duplicate_entries")
    return any(answer.get(name) for name in counted) or answer.get("drift_usd") not in {"0", 0}


def _print_invoice(options: GlobalOptions, answer: JsonObject) -> None:
    if options.as_json:
        print_json(answer)
        return
    lists = ("days", "adjustments")
    print_fields({name: value for name, value in answer.items() if name not in lists})
    print_table(rows_of(answer, "days"), _DAY_COLUMNS)
    print_table(rows_of(answer, "adjustments"), _ADJUSTMENT_COLUMNS)
    if answer.get("status") == "proposed" and rows_of(answer, "adjustments"):
        typer.echo(f"book them: sluiceway reconcile --confirm {answer.get('id')}")


def _print_as_it_comes(options: GlobalOptions, path: str, **query: str | None) -> None:
    for text in options.admin().stream(path, **query):
        typer.echo(text, nl=False)


def _print(options: GlobalOptions, answer: JsonObject) -> None:
    if options.as_json:
        print_json(answer)
    else:
        print_fields(answer)
