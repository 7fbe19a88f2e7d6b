"""Waits for ingestions, with a bar that shows how far they have come, how fast, and the cost."""

import asyncio
from collections.abc import Sequence
from decimal import Decimal

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from cli.api_client import ApiClient, JsonObject

_ENDED = frozenset({"completed", "completed_with_failures", "cancelled", "failed"})
_POLL_SECONDS = 0.5
_COUNTS = ("documents", "invalid", "chunks", "embedded", "deduplicated", "failed")


class _Rate(ProgressColumn):
    """Chunks a second."""

    def render(self, task: Task) -> Text:
        """Return the rate, once there is one."""
        return Text("-/s" if task.speed is None else f"{task.speed:.0f}/s")


async def until_ended(client: ApiClient, ids: Sequence[str], *, quiet: bool) -> JsonObject:
    """Return the sum of all ingestions once each has ended.

    Raises:
        ApiFailedError: The API refused or did not answer.
    """
    columns = (
        TextColumn("embedding"),
        BarColumn(),
        MofNCompleteColumn(),
        _Rate(),
        TimeRemainingColumn(),
        TextColumn("${task.fields[cost]}"),
    )
    with Progress(*columns, console=Console(stderr=True), disable=quiet) as bar:
        line = bar.add_task("embedding", total=None, cost="0")
        while True:
            states = [client.get(f"/v1/ingestions/{one}") for one in ids]
            total = summary(states)
            done = sum(_count(total, name) for name in ("embedded", "deduplicated", "failed"))
            bar.update(
                line, total=_count(total, "chunks") or None, completed=done, cost=total["cost_usd"]
            )
            if all(state.get("status") in _ENDED for state in states):
                return total
            await asyncio.sleep(_POLL_SECONDS)


def summary(states: Sequence[JsonObject]) -> JsonObject:
    """Return the sum of ingestions; its status is the worst of theirs."""
    found = {str(state.get("status")) for state in states}
    order = ("failed", "cancelled", "paused", "running", "receiving", "completed_with_failures")
    total: JsonObject = {"ingestions": [state.get("id") for state in states]}
    total["status"] = next((status for status in order if status in found), "completed")
    for name in _COUNTS:
        total[name] = sum(_count(state, name) for state in states)
    total["cost_usd"] = str(sum((_cost(state) for state in states), Decimal(0)))
    return total


def _count(state: JsonObject, name: str) -> int:
    value = state.get(name)
    return value if isinstance(value, int) else 0


def _cost(state: JsonObject) -> Decimal:
    value = state.get("cost_usd")
    return Decimal(value) if isinstance(value, str) else Decimal(0)
