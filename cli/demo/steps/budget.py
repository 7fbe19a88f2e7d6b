"""Step 4: money shuts the gates, jobs wait with a reason, a raised budget lets them go on."""

import asyncio
from collections.abc import Sequence
from decimal import ROUND_UP, Decimal

from cli.api_client import JsonObject
from cli.demo.accounts import settled
from cli.demo.alerts import logged_alerts
from cli.demo.answers import Budget, Job, Queue, Queues
from cli.demo.conversation import Conversation
from cli.demo.eventually import eventually
from cli.demo.failure import DemoFailedError
from cli.demo.formatting import usd
from cli.demo.questions import SPENDING
from cli.demo.stage import CAP_USD, Stage
from shared.domain.money import decimal_string

_PAUSED = ("chat.free", "chat.paid")
_JOBS_TO_ALERT, _JOBS_TO_PAUSE = 1, 3
_SPENDING_JOBS = 8
_LATER_JOBS = 6
_GRAIN_USD = Decimal("0.000000001")


async def show_budget(stage: Stage) -> None:
    """Cross a threshold, and raise it.

    Raises:
        DemoFailedError: No alert, no pause, a job that does not wait, or one that is lost.
    """
    stage.screen.step(4, "A budget that loses no job")
    await settled(stage)
    await _set_thresholds(stage)
    early = await _ask_cheaper_tiers(stage, _SPENDING_JOBS)
    await _show_crossing(stage)
    late = await _ask_cheaper_tiers(stage, _LATER_JOBS)
    await _show_waiting(stage, late)
    await _show_reopening(stage, [*early, *late])


async def _set_thresholds(stage: Stage) -> None:
    """Put the thresholds a few typical jobs above what is spent."""
    spent = (await stage.admin.get("/v1/admin/budgets/global", Budget)).spent_usd
    typical = sum((job.cost_usd for job in stage.answered), Decimal(0)) / len(stage.answered)
    alert_at, pause_at = (
        (spent + jobs * typical).quantize(_GRAIN_USD, ROUND_UP)
        for jobs in (_JOBS_TO_ALERT, _JOBS_TO_PAUSE)
    )
    await stage.put_budget(_threshold(alert_at, "alert"), _threshold(pause_at, "pause", *_PAUSED))
    stage.screen.note(f"Spent today: {usd(spent)}")
    stage.screen.note(f"Alert from  {usd(alert_at)} on")
    stage.screen.note(f"Pause from  {usd(pause_at)} on: {', '.join(_PAUSED)}")


async def _ask_cheaper_tiers(stage: Stage, jobs: int) -> list[Conversation]:
    tiers = [("free", "paid")[number % 2] for number in range(jobs)]
    return await asyncio.gather(*(stage.ask(tier, SPENDING) for tier in tiers))


async def _show_crossing(stage: Stage) -> None:
    async def alerts() -> list[str]:
        return await asyncio.to_thread(logged_alerts, stage.logs)

    raised = await eventually(
        alerts, lambda seen: len(seen) > 1, "both thresholds raise their alert"
    )
    for alert in raised:
        stage.screen.fact(f"Alert: {alert}")
    paused = await _queues(stage, "paused", "the workers pause the queues")
    stage.screen.table(
        ("queue", "wanted", "workers", "reason"),
        [(one.name, one.desired, one.actual, one.reason or "-") for one in paused],
    )


async def _show_waiting(stage: Stage, late: Sequence[Conversation]) -> None:
    """Show that jobs are still accepted, wait for money, and that premium goes on."""
    waiting = [await _waiting(stage, talk) for talk in late]
    first = waiting[0].waiting
    if first is None:
        raise DemoFailedError(f"job {waiting[0].id} waits without saying why")
    stage.screen.fact(
        f"{len(late)} more jobs accepted: {waiting[0].status}, waiting.reason = {first.reason}"
    )
    completed = await stage.listen(await stage.ask("premium", SPENDING))
    stage.screen.fact(f"chat.premium goes on meanwhile: answered for {usd(completed.cost_usd)}")


async def _waiting(stage: Stage, talk: Conversation) -> Job:
    return await eventually(
        lambda: stage.clients[talk.tier].get(f"/v1/jobs/{talk.job_id}", Job),
        lambda job: job.waiting is not None and job.waiting.reason == "budget",
        f"job {talk.job_id} waits for the budget",
    )


async def _show_reopening(stage: Stage, talks: Sequence[Conversation]) -> None:
    await stage.put_budget(_threshold(CAP_USD, "pause"))
    stage.screen.note(f"The budget is raised to {usd(CAP_USD)}")
    await _queues(stage, "running", "the queues reopen by themselves")
    await asyncio.gather(*(stage.listen(talk) for talk in talks))
    stage.screen.fact(
        f"The queues reopened by themselves; all {len(talks)} jobs finished, none is lost"
    )


async def _queues(stage: Stage, state: str, what: str) -> list[Queue]:
    """Wait until wish and workers agree on a state of the paused queues; return all chat queues."""
    seen = await eventually(
        lambda: stage.admin.get("/v1/admin/queues", Queues),
        lambda queues: all(
            one.desired == one.actual == state for one in queues.data if one.name in _PAUSED
        ),
        what,
    )
    return [one for one in seen.data if one.name.startswith("chat.")]


def _threshold(at_usd: Decimal, action: str, *queues: str) -> JsonObject:
    threshold: JsonObject = {"at_usd": decimal_string(at_usd), "action": action}
    if queues:
        threshold["queues"] = [*queues]
    return threshold
