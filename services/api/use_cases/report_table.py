"""A period's report as people read it."""

from collections.abc import Sequence
from decimal import Decimal

from services.api.schemas.reports import PeriodReport, PeriodSums

_USERS_SHOWN = 20
_CENTS = Decimal("0.01")
_SMALL = Decimal("0.000001")
_HEADER = ("requests", "cost USD", "fallbacks", "errors", "p50 ms", "p95 ms", "p99 ms")


def report_table(report: PeriodReport) -> str:
    """Return a report as plain text: totals, savings, then providers, days and users."""
    saved = report.savings
    days = f"{report.first}" if report.first == report.last else f"{report.first} to {report.last}"
    share = "" if saved.saved_share is None else f" ({saved.saved_share:.1%})"
    lines = [
        f"{report.period} report, {days} (UTC)",
        "",
        *_rows((), [report.total]),
        "",
        f"OpenAI-only bill {_usd(saved.openai_only_usd)} USD, spent {_usd(saved.cost_usd)} USD",
        f"saved {_usd(saved.saved_usd)} USD{share}",
        "",
        *_rows(("provider",), report.providers),
    ]
    if len(report.days) > 1:
        lines += ["", *_rows(("day",), report.days)]
    lines += ["", *_rows(("user", "provider"), report.users[:_USERS_SHOWN])]
    left_out = report.users_left_out + max(0, len(report.users) - _USERS_SHOWN)
    if left_out:
        lines.append(f"... and {left_out} more")
    return "\n".join(lines) + "\n"


def _rows(keys: Sequence[str], rows: Sequence[PeriodSums]) -> Sequence[str]:
    cells = [[*keys, *_HEADER], *(_cells(keys, row) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if place < len(keys) else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in cells
    ]


def _cells(keys: Sequence[str], row: PeriodSums) -> list[str]:
    named = row.model_extra or {}
    return [
        *(str(named.get(key, "-")) for key in keys),
        f"{row.requests:,}",
        _usd(row.cost_usd),
        f"{row.fallback_rate:.1%}",
        f"{row.error_rate:.1%}",
        *("-" if ms is None else f"{ms:,}" for ms in (row.p50_ms, row.p95_ms, row.p99_ms)),
    ]


def _usd(amount: Decimal) -> str:
    """Return cents for a dollar and more, millionths below."""
    return f"{amount.quantize(_CENTS if abs(amount) >= 1 else _SMALL):,}"
