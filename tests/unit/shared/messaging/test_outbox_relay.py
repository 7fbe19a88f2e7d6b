from datetime import timedelta

from shared.domain.errors import BrokerUnavailableError, QueueFullError
from shared.domain.outgoing import OutgoingMessage
from shared.messaging.outbox_relay import OutboxRelay
from tests.support.messaging import ListPublisher, MemoryOutbox
from tests.support.waiting import wait_until


def _messages(*ids: str) -> list[OutgoingMessage]:
    return [OutgoingMessage(each, "jobs", "chat.free", b"{}") for each in ids]


def _relay(outbox: MemoryOutbox, publisher: ListPublisher, batch: int = 500) -> OutboxRelay:
    return OutboxRelay(outbox, publisher, worker="w1", period=timedelta(seconds=0.01), batch=batch)


async def test_flush_publishes_and_deletes() -> None:
    outbox, publisher = MemoryOutbox(), ListPublisher()
    await _relay(outbox, publisher).flush(outbox.commit(*_messages("a", "b")))
    assert [each.message_id for each in publisher.published] == ["a", "b"]
    await wait_until(lambda: not outbox.rows)


async def test_draining_does_not_leave_confirmed_rows_behind() -> None:
    outbox, publisher = MemoryOutbox(), ListPublisher()
    relay = _relay(outbox, publisher)
    await relay.flush(outbox.commit(*_messages("a")))
    await relay.drain()
    assert not outbox.rows
    assert len(publisher.published) == 1


async def test_flush_of_nothing_asks_nobody() -> None:
    outbox = MemoryOutbox(is_down=True)
    await _relay(outbox, ListPublisher()).flush([])


async def test_a_failed_flush_is_made_good_by_the_loop() -> None:
    outbox, publisher = MemoryOutbox(), ListPublisher()
    publisher.refusals["a"] = BrokerUnavailableError("away")
    publisher.refusals["b"] = QueueFullError("full")
    relay = _relay(outbox, publisher)
    await relay.flush(outbox.commit(*_messages("a", "b", "c")))
    await wait_until(lambda: len(outbox.rows) == 2)
    assert [row.message.message_id for row in outbox.rows.values()] == ["a", "b"]
    publisher.refusals.clear()
    relay.start()
    await wait_until(lambda: not outbox.rows)
    assert relay.is_alive
    await relay.drain()
    assert not relay.is_alive


async def test_rows_whose_deletion_failed_are_published_again() -> None:
    outbox, publisher = MemoryOutbox(), ListPublisher()
    rows = outbox.commit(*_messages("a"))
    outbox.is_down = True
    relay = _relay(outbox, publisher)
    await relay.flush(rows)
    await wait_until(lambda: outbox.refusals == 1)
    relay.start()
    outbox.is_down = False
    await wait_until(lambda: not outbox.rows)
    await relay.drain()
    assert [each.message_id for each in publisher.published] == ["a", "a"]


async def test_an_unreadable_outbox_does_not_end_the_loop() -> None:
    outbox, publisher = MemoryOutbox(is_down=True), ListPublisher()
    relay = _relay(outbox, publisher)
    relay.start()
    outbox.commit(*_messages("a"))
    await relay.flush([])
    outbox.is_down = False
    await wait_until(lambda: not outbox.rows)
    await relay.drain()


async def test_draining_publishes_what_is_due_in_batches() -> None:
    outbox, publisher = MemoryOutbox(), ListPublisher()
    outbox.commit(*_messages("a", "b", "c", "d", "e"))
    await _relay(outbox, publisher, batch=2).drain()
    assert len(publisher.published) == 5


async def test_a_failure_ends_a_pass_so_that_a_full_broker_is_not_hammered() -> None:
    outbox, publisher = MemoryOutbox(), ListPublisher()
    publisher.refusals["a"] = QueueFullError("full")
    outbox.commit(*_messages("a", "b", "c", "d"))
    await _relay(outbox, publisher, batch=2).drain()
    assert [each.message_id for each in publisher.published] == ["b"]
