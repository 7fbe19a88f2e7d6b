"""What a chat job costs in statements, round trips and messages, held against the baseline.

Counters rather than times: they are the same on every machine. A lower figure is an improvement:
write it into `benchmarks/baseline.json`.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, Generator, Mapping, Sequence, Sized
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aio_pika
import pytest
from aio_pika.abc import AbstractIncomingMessage
from psycopg.rows import DictRow
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.messages.frames import FRAME, JobDelta
from shared.persistence.direct import DirectConnection, HotStatement
from tests.support.chat_jobs import new_chat_job
from tests.support.chat_pipeline import Pipeline
from tests.support.waiting import wait_until

pytestmark = pytest.mark.integration

_BASELINE = json.loads((Path(__file__).parents[3] / "benchmarks/baseline.json").read_text("utf-8"))
_PERIODIC = (
    "WITH due AS",
    "SELECT * FROM queue_control",
    "INSERT INTO queue_actual",
    "UPDATE jobs SET lease_until",
    "SELECT * FROM rollouts",
)
"""What runs by the clock, not by the job."""


@dataclass
class Counters:
    """What happened while the block ran."""

    statements: list[str] = field(default_factory=list[str])
    transactions: int = 0
    messages: list[bytes] = field(default_factory=list[bytes])
    chunks: int = 0
    deleted: int = 0
    """Outbox rows."""

    @property
    def round_trips(self) -> int:
        """A statement is one; a transaction adds its begin and its end."""
        return len(self.statements) + 2 * self.transactions


@asynccontextmanager
async def counting(engine: AsyncEngine, amqp_url: str) -> AsyncGenerator[Counters]:
    """Count statements, SQLAlchemy's and direct ones, and messages by a queue that gets copies."""
    counters = Counters()

    async def on_message(message: AbstractIncomingMessage) -> None:
        is_frame = message.exchange == "stream"
        if is_frame and isinstance(FRAME.validate_json(message.body), JobDelta):
            counters.chunks += 1
        else:
            counters.messages.append(message.body)

    async with await aio_pika.connect(amqp_url) as connection:
        channel = await connection.channel()
        queue = await channel.declare_queue(exclusive=True)
        for exchange in ("jobs", "events", "stream"):
            await queue.bind(exchange, "#")
        await queue.consume(on_message, no_ack=True)
        with _counting_statements(engine, counters):
            yield counters


@contextmanager
def _counting_statements(engine: AsyncEngine, counters: Counters) -> Generator[None]:
    execute = DirectConnection.execute

    def on_statement(_conn: object, _cursor: object, sql: str, *_: object) -> None:
        statement = sql.strip()
        if not statement.startswith(_PERIODIC):
            counters.statements.append(statement)

    def on_commit(_conn: object) -> None:
        counters.transactions += 1

    async def counted(
        connection: DirectConnection, statement: HotStatement, parameters: Mapping[str, object]
    ) -> Sequence[DictRow]:
        rows = await execute(connection, statement, parameters)
        on_statement(None, None, statement.sql)
        ids: object = parameters.get("ids")
        counters.deleted += len(ids) if isinstance(ids, Sized) else 0
        return rows

    event.listen(engine.sync_engine, "before_cursor_execute", on_statement)
    event.listen(engine.sync_engine, "commit", on_commit)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DirectConnection, "execute", counted)
        yield
    event.remove(engine.sync_engine, "before_cursor_execute", on_statement)
    event.remove(engine.sync_engine, "commit", on_commit)


async def _warm_up(running: Pipeline) -> None:
    await running.ended(await running.submit(new_chat_job()))


async def test_a_lone_chat_job_costs_no_more_than_the_baseline(
    running: Pipeline, engine: AsyncEngine, amqp_url: str
) -> None:
    baseline = _BASELINE["lone_chat_job"]
    await _warm_up(running)
    async with counting(engine, amqp_url) as counters:
        await running.submit(new_chat_job())
        await wait_until(lambda: counters.deleted == 2 and _bookings(counters) == 1)
        await wait_until(lambda: len(counters.messages) == baseline["publishes"])
    assert len(counters.statements) <= baseline["sql_statements"], counters.statements
    assert counters.round_trips <= baseline["database_round_trips"]
    assert sum(len(body) for body in counters.messages) <= baseline["published_bytes"]
    assert 1 <= counters.chunks <= baseline["chunks"]


async def test_a_crowd_of_chat_jobs_shares_statements(
    running: Pipeline, engine: AsyncEngine, amqp_url: str
) -> None:
    await _warm_up(running)
    jobs = [new_chat_job(prompt=f"Say {number}") for number in range(50)]
    async with counting(engine, amqp_url) as counters:
        await asyncio.gather(*(running.submit(job) for job in jobs))
        await wait_until(lambda: len(counters.messages) >= 3 * len(jobs))
    per_job = len(counters.statements) / len(jobs)
    assert per_job <= _BASELINE["crowd_of_50_chat_jobs"]["sql_statements_per_job"]


def _bookings(counters: Counters) -> int:
    return sum("ledger_entries" in statement for statement in counters.statements)
