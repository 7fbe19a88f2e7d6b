"""The gates stage: from the entry that crosses a threshold to the last call that still starts."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from itertools import pairwise

import orjson
import psycopg

from benchmarks.http_load import Connection, Target, in_flight
from benchmarks.report import Measured
from benchmarks.stages import CHAT, Bench, until

_QUEUE = "chat.paid"
_JOBS = 40
_LEAST_USD = Decimal("0.000000001")
_GATES = """
    SELECT to_state, changed_at FROM audit_entries
    WHERE kind = 'gate' AND queue = %s AND actor = 'budget' AND changed_at >= %s ORDER BY id
"""


async def gates(bench: Bench, crossings: int = 60) -> Measured:
    """Cross a threshold under load again and again, and open the gate each time.

    The latencies are those from the gate's change inside the booking's transaction, which is before
    its commit, to the last call's entry in the simulator's bill, which is after the call's start.
    """
    began, clock = await _database_time(bench), time.perf_counter()
    for _ in range(crossings):
        await _cross(bench)
    seconds = time.perf_counter() - clock
    calls = await _calls(bench)
    latencies = _latencies_ms(await asyncio.to_thread(_history, bench, began), calls)
    await _put(bench, [])
    name = f"gates shut ({len(latencies)} crossings)"
    return Measured(name, len(latencies) / seconds, "crossing", 0.0, latencies)


async def _cross(bench: Bench) -> None:
    at_usd = await _spent_usd(bench) + _LEAST_USD
    threshold = {"at_usd": f"{at_usd:f}", "action": "pause", "queues": [_QUEUE]}
    await _put(bench, [threshold])

    async def one(connection: Connection) -> None:
        status, body = await connection.post("/v1/chat/jobs", CHAT)
        if status != 202:
            raise RuntimeError(f"not accepted: {status} {body.decode()}")

    await in_flight(8, _JOBS, one, bench.user)
    await until(lambda: _stands(bench, "paused"))
    await _put(bench, [])
    await until(lambda: _stands(bench, "running"))


async def _put(bench: Bench, thresholds: Sequence[Mapping[str, object]]) -> None:
    body = {"window": "day", "thresholds": thresholds, "reason": "benchmark"}
    status, answer = await bench.admin.put("/v1/admin/budgets/global", body)
    if status != 200:
        raise RuntimeError(f"no budget: {status} {answer.decode()}")


async def _spent_usd(bench: Bench) -> Decimal:
    _, body = await bench.admin.get("/v1/admin/budgets/global")
    return Decimal(orjson.loads(body)["spent_usd"])


async def _stands(bench: Bench, state: str) -> bool:
    """Tell whether wish and workers agree on the queue's state."""
    _, body = await bench.admin.get("/v1/admin/queues")
    queues = orjson.loads(body)["data"]
    queue = next(one for one in queues if one["name"] == _QUEUE)
    return bool(queue["desired"] == queue["actual"] == state)


async def _calls(bench: Bench) -> Sequence[datetime]:
    simulator = Connection(Target(bench.ready.simulator or "", ""))
    _, body = await simulator.get("/_bill")
    await simulator.close()
    return sorted(datetime.fromisoformat(row["at"]) for row in orjson.loads(body)["data"])


async def _database_time(bench: Bench) -> datetime:
    async with await psycopg.AsyncConnection.connect(bench.ready.database_url) as connection:
        row = await (await connection.execute("SELECT now()")).fetchone()
    if row is None:
        raise RuntimeError("the database tells no time")
    now: datetime = row[0]
    return now


def _history(bench: Bench, began: datetime) -> Sequence[tuple[str, datetime]]:
    with psycopg.connect(bench.ready.database_url) as connection:
        return connection.execute(_GATES, (_QUEUE, began)).fetchall()


def _latencies_ms(
    history: Sequence[tuple[str, datetime]], calls: Sequence[datetime]
) -> Sequence[float]:
    """Return, for each shutting, how long calls went on; 0 when none began after it."""
    latencies: list[float] = []
    for (state, shut_at), (_, open_at) in pairwise(history):
        if state == "paused":
            late = [(at - shut_at).total_seconds() * 1000 for at in calls if shut_at < at < open_at]
            latencies.append(max(late, default=0.0))
    return latencies
