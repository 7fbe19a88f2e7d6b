"""Step 5: what it all cost, and the proof that the ledger has every cent of the bill."""

from collections.abc import Sequence

from cli.demo.accounts import ledger_total, settled
from cli.demo.answers import Usage, UsageList
from cli.demo.failure import require
from cli.demo.formatting import duration, provider_name, share, usd
from cli.demo.simulator import Simulator
from cli.demo.stage import CAP_USD, Stage
from cli.demo.statistics import summarize
from shared.domain.money import decimal_string

_HEADINGS = ("", ">calls", ">failed", ">tokens in", ">out", ">p50", ">p95", ">cost")


async def show_bill(stage: Stage) -> None:
    """Print the table, the reconciliation and the two totals.

    Raises:
        DemoFailedError: They differ, or attempts and ledger do.
    """
    stage.screen.step(
        5, f"The bill{' (simulated: nothing was charged)' if stage.simulator else ''}"
    )
    await settled(stage)
    usage = await stage.admin.get("/v1/admin/usage", UsageList, group_by="provider,operation")
    stage.screen.table(_HEADINGS, [_row(one) for one in usage.data])
    _show_jobs(stage, usage.data)
    stage.screen.fact("Reconciliation: every attempt once on the ledger, no open hold, drift 0")
    ledger = await ledger_total(stage, usage)
    if stage.simulator is None:
        require(ledger <= CAP_USD, f"{usd(ledger)} were spent, above the cap of {usd(CAP_USD)}")
        stage.screen.fact(f"ledger total: {usd(ledger)}, below the cap of {usd(CAP_USD)}")
    else:
        await _show_totals(stage, stage.simulator, decimal_string(ledger))


def _show_jobs(stage: Stage, usage: Sequence[Usage]) -> None:
    summary = summarize(stage.answered)
    calls = sum(one.requests for one in usage)
    failed = sum(one.errors for one in usage)
    by_provider = ", ".join(
        f"{provider_name(name)} {share(jobs, summary.jobs)}"
        for name, jobs in summary.jobs_by_provider.items()
    )
    stage.screen.fact(
        f"{summary.jobs} chat jobs: {by_provider} · "
        f"fallback rate {share(summary.fallbacks, summary.jobs)}"
    )
    stage.screen.fact(
        f"{calls} provider calls, {failed} of them failed; p50 {duration(summary.p50_ms)} and "
        f"p95 {duration(summary.p95_ms)} per job"
    )


async def _show_totals(stage: Stage, simulator: Simulator, ledger: str) -> None:
    bill = await simulator.bill()
    billed = decimal_string(bill.total_usd)
    require(ledger == billed, f"ledger ≠ simulator bill: {ledger} USD ≠ {billed} USD")
    stage.screen.fact(f"ledger = simulator bill: {ledger} USD = {billed} USD")


def _row(usage: Usage) -> tuple[str, ...]:
    return (
        f"{provider_name(usage.provider)} {usage.operation}",
        f"{usage.requests:,}",
        f"{usage.errors:,}",
        f"{usage.input_tokens:,}",
        f"{usage.output_tokens:,}",
        "-" if usage.p50_ms is None else duration(usage.p50_ms),
        "-" if usage.p95_ms is None else duration(usage.p95_ms),
        usd(usage.cost_usd),
    )
