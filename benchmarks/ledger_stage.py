"""The ledger stage: usage events through the broker into the ledger."""

import asyncio
import time
from datetime import UTC, datetime
from decimal import Decimal

import aio_pika
import psutil

from benchmarks.bounds import raw_bounds
from benchmarks.cpu import CpuReading
from benchmarks.report import Measured
from benchmarks.stages import Bench, until
from shared.domain.access import Caller
from shared.domain.catalog import CLOUDFLARE, Operation, Tier
from shared.domain.ids import AttemptId, JobId, KeyId, UserId
from shared.domain.jobs import AttemptOutcome
from shared.domain.usage import TokenUsage
from shared.domain.work import AttemptResult
from shared.messages.usage import CallFacts, usage_message
from shared.system import RandomIds

_EVENTS = 20_000
_USERS = 50
_WANTED = 10_000


async def ledger(bench: Bench, total: int = _EVENTS) -> Measured:
    """Fill `usage.ledger` while the aggregator is stopped, and time it until all are booked."""
    ids = RandomIds()
    bodies = [_event(ids, number) for number in range(total)]
    booked = await bench.ledger_requests()
    connection = await aio_pika.connect(bench.ready.rabbitmq_url)
    channel = await connection.channel(publisher_confirms=False)
    exchange = await channel.get_exchange("events", ensure=False)
    aggregators = [
        psutil.Process(one.pid)
        for one in bench.ready.processes
        if one.name.startswith("aggregator")
    ]
    for process in aggregators:
        process.suspend()
    for message_id, body in bodies:
        await exchange.publish(aio_pika.Message(body, message_id=message_id), "usage.chat")
    await channel.close()
    before, began = CpuReading.take(bench.ready), time.perf_counter()
    for process in aggregators:
        process.resume()

    async def all_booked() -> bool:
        return await bench.ledger_requests() >= booked + total

    await until(all_booked)
    seconds = time.perf_counter() - began
    cpu = CpuReading.take(bench.ready).milliseconds_per(total, before)
    await connection.close()
    bounds = await asyncio.to_thread(raw_bounds, bench.ready.database_url)
    name = "usage events into ledger"
    return Measured(name, total / seconds, "event", _WANTED, (), cpu, bounds)


def _event(ids: RandomIds, number: int) -> tuple[str, bytes]:
    user = f"bench-{number % _USERS}"
    call = CallFacts(
        attempt_id=AttemptId(ids.new("att")),
        job_id=JobId(ids.new("job")),
        caller=Caller(UserId(user), KeyId(user), Tier.PAID, frozenset()),
        operation=Operation.CHAT,
        provider=CLOUDFLARE,
        model="@cf/meta/llama-3.1-8b-instruct-fast",
        price_id="benchmark",
        hold_usd=Decimal("0.001"),
        is_fallback=False,
    )
    result = AttemptResult(
        AttemptOutcome.SUCCEEDED,
        TokenUsage(500, 300),
        neurons=Decimal("12.5"),
        cost_usd=Decimal("0.0001375"),
    )
    now = datetime.now(UTC)  # noqa: TID251 - a benchmark is its own composition root
    message = usage_message(call, result, ended_at=now, latency_ms=800 + number % 400)
    return message.message_id, message.body
