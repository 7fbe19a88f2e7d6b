"""What the ledger says about all that was spent, read once every call is booked."""

from decimal import Decimal

from cli.demo.answers import LedgerLine, LedgerPage, Reconciliation, UsageList
from cli.demo.eventually import eventually
from cli.demo.failure import require
from cli.demo.stage import Stage


async def settled(stage: Stage) -> Reconciliation:
    """Wait until no call is open and every ended one is booked.

    Raises:
        DemoFailedError: Attempts and ledger do not agree in time.
    """
    return await eventually(
        lambda: stage.admin.get("/v1/admin/reconciliation", Reconciliation),
        is_clean,
        "attempts and ledger agree",
    )


def is_clean(found: Reconciliation) -> bool:
    """Tell whether every attempt is booked exactly once, by what its provider reported."""
    differences = (
        found.attempts_without_ledger,
        found.ledger_without_attempt,
        found.duplicate_entries,
        found.open_holds,
        found.expired_holds,
        found.assumed.count,
        found.drift_usd,
    )
    return not any(differences)


async def ledger_lines(stage: Stage) -> list[LedgerLine]:
    """Return the whole ledger, page by page."""
    lines: list[LedgerLine] = []
    page = await stage.admin.get("/v1/admin/ledger", LedgerPage)
    lines += page.data
    while page.next is not None:
        page = await stage.admin.get("/v1/admin/ledger", LedgerPage, after=page.next)
        lines += page.data
    return lines


async def ledger_total(stage: Stage, usage: UsageList) -> Decimal:
    """Return the sum of every line of the ledger.

    Raises:
        DemoFailedError: The usage report sums up to something else.
    """
    total = sum((line.cost_usd for line in await ledger_lines(stage)), Decimal(0))
    reported = sum((row.cost_usd for row in usage.data), Decimal(0))
    require(total == reported, f"the ledger sums up to {total} USD, the report to {reported} USD")
    return total
