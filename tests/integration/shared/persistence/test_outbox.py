import asyncio

from sqlalchemy.ext.asyncio import AsyncEngine

from shared.domain.outgoing import OutboxRow
from shared.persistence.repositories.outbox import PostgresOutbox
from tests.support.chat_jobs import change, rows, submitted


async def _due_jobs(engine: AsyncEngine, count: int) -> list[bytes]:
    jobs = [await submitted(engine) for _ in range(count)]
    await change(engine, "UPDATE outbox SET available_at = now() - interval '1 s'")
    return sorted(job.command.body for job in jobs)


def _bodies(found: list[OutboxRow]) -> list[bytes]:
    return sorted(row.message.body for row in found)


async def test_a_fresh_message_is_left_to_who_committed_it(engine: AsyncEngine) -> None:
    await submitted(engine)
    assert await PostgresOutbox(engine).due(10) == []


async def test_a_due_message_is_given_as_it_was_committed(engine: AsyncEngine) -> None:
    job = await submitted(engine)
    await change(engine, "UPDATE outbox SET available_at = now()")
    (row,) = await PostgresOutbox(engine).due(10)
    assert row.message == job.command


async def test_relays_share_what_is_due(engine: AsyncEngine, second_engine: AsyncEngine) -> None:
    bodies = await _due_jobs(engine, 20)
    found = await asyncio.gather(
        PostgresOutbox(engine).due(15), PostgresOutbox(second_engine).due(15)
    )
    late = await PostgresOutbox(engine).due(15)
    assert _bodies([*found[0], *found[1], *late]) == bodies


async def test_a_leased_message_is_not_given_again_at_once(engine: AsyncEngine) -> None:
    await _due_jobs(engine, 1)
    outbox = PostgresOutbox(engine)
    assert len(await outbox.due(10)) == 1
    assert await outbox.due(10) == []
    await change(engine, "UPDATE outbox SET available_at = available_at - interval '10 s'")
    assert len(await outbox.due(10)) == 1


async def test_sent_messages_are_gone(engine: AsyncEngine) -> None:
    await _due_jobs(engine, 3)
    outbox = PostgresOutbox(engine)
    due = await outbox.due(10)
    await asyncio.gather(*(outbox.sent([row.id]) for row in due[:2]), outbox.sent([]))
    assert await rows(engine, "SELECT id FROM outbox") == [(due[2].id,)]
