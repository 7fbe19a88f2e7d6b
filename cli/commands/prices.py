"""`sluiceway prices`: what models cost, and which of the routed ones end or have no price."""

from datetime import UTC, date
from decimal import Decimal

import typer
from pydantic import JsonValue

from cli.api_client import JsonObject
from cli.options import global_options
from cli.output import failures_in_one_line, print_json, print_table
from shared.domain.money import decimal_string
from shared.domain.price_check import WARNING_DAYS, PriceCheck, check_routed_prices
from shared.domain.pricing import PriceBook, PriceRow
from shared.providers.price_files import load_price_book
from shared.providers.routing_file import load_routing_table
from shared.settings import RoutingSettings, load
from shared.system import SystemClock

prices = typer.Typer(no_args_is_help=True, help="Prices of models, from the price files.")

_LIST_COLUMNS = (
    "provider",
    "model",
    "kind",
    "input_usd_per_million",
    "output_usd_per_million",
    "effective_from",
    "retired_on",
)


@prices.command()
def check(context: typer.Context) -> None:
    """Hold the routing table against the prices; exit status 1 when a model cannot be called."""
    with failures_in_one_line():
        settings = load(RoutingSettings)
        table, book = load_routing_table(settings.routing), load_price_book(settings.prices)
        found = check_routed_prices(table, book, SystemClock().now())
    if global_options(context).as_json:
        print_json(_check_json(found))
    else:
        _print_check(found)
    if found.is_broken:
        raise typer.Exit(1)


@prices.command("list")
def list_prices(context: typer.Context) -> None:
    """List the price of each model today; Cloudflare's USD rates are rounded from neurons."""
    with failures_in_one_line():
        book = load_price_book(load(RoutingSettings).prices)
    rows = [_row_json(row) for row in book.rows_in_force(SystemClock().now())]
    if global_options(context).as_json:
        print_json({"data": [*rows], "allowances": _allowances(book)})
    else:
        print_table(rows, _LIST_COLUMNS)


def _check_json(found: PriceCheck) -> JsonObject:
    return {
        "ok": not found.is_broken,
        "at": found.at.isoformat(),
        "retired": [_ending(row, found) for row in found.retired],
        "retiring": [_ending(row, found) for row in found.retiring],
        "unpriced": [
            {
                "provider": one.candidate.provider,
                "model": one.candidate.model,
                "reason": one.reason,
            }
            for one in found.unpriced
        ],
    }


def _ending(row: PriceRow, found: PriceCheck) -> JsonObject:
    return {
        "provider": row.provider,
        "model": row.model,
        "retired_on": str(row.retired_on),
        "days_left": _days_left(row, found),
        "place": row.place,
    }


def _days_left(row: PriceRow, found: PriceCheck) -> int:
    today = found.at.astimezone(UTC).date()
    return 0 if row.retired_on is None else max(0, (row.retired_on - today).days)


def _print_check(found: PriceCheck) -> None:
    for row in found.retired:
        typer.echo(f"retired   {row.provider}/{row.model} since {row.retired_on}; route another")
    for one in found.unpriced:
        typer.echo(f"unpriced  {one.candidate}: {one.reason}")
    for row in found.retiring:
        days = _days_left(row, found)
        typer.echo(f"retires   {row.provider}/{row.model} on {row.retired_on}, in {days} days")
    if not (found.is_broken or found.retiring):
        typer.echo(f"every routed model has a price and stays for {WARNING_DAYS} days and more")


def _row_json(row: PriceRow) -> JsonObject:
    usd, neurons = row.usd_rates, row.neuron_rates
    factors: JsonObject = {
        tier: decimal_string(factor) for tier, factor in row.factor_by_tier.items()
    }
    return {
        "price_id": row.id,
        "provider": row.provider,
        "model": row.model,
        "kind": row.kind,
        "input_usd_per_million": _plain(usd.input if usd else None),
        "output_usd_per_million": _plain(usd.output if usd else None),
        "cached_input_usd_per_million": _plain(usd.cached if usd else None),
        "cache_write_usd_per_million": _plain(usd.cache_write if usd else None),
        "neurons_per_million_input": _plain(neurons.input if neurons else None),
        "neurons_per_million_output": _plain(neurons.output if neurons else None),
        "long_context_above_tokens": row.long_context_above_tokens,
        "factor_by_tier": factors,
        "effective_from": _day(row.effective_from),
        "retired_on": _day(row.retired_on),
        "place": row.place,
    }


def _allowances(book: PriceBook) -> list[JsonValue]:
    return [
        {
            "provider": one.provider,
            "unit": one.unit,
            "per_day": decimal_string(one.amount),
            "share": decimal_string(one.share),
            "effective_from": _day(one.effective_from),
            "place": one.place,
        }
        for one in book.allowances
    ]


def _plain(amount: Decimal | None) -> str | None:
    return None if amount is None else decimal_string(amount)


def _day(day: date | None) -> str | None:
    return None if day is None else str(day)
