from datetime import timedelta

import pytest
from aio_pika.abc import AbstractRobustChannel

from shared.domain.outgoing import OutgoingMessage
from shared.messaging.outbox_relay import OutboxRelay
from shared.messaging.publisher import ConfirmedPublisher
from tests.support.messaging import MemoryOutbox, taken
from tests.support.waiting import wait_until

pytestmark = pytest.mark.integration


async def test_what_a_crash_left_behind_arrives_by_the_loop(
    publisher: ConfirmedPublisher, channel: AbstractRobustChannel
) -> None:
    outbox = MemoryOutbox()
    outbox.commit(OutgoingMessage("m1", "jobs", "chat.free", b"{}"))
    relay = OutboxRelay(outbox, publisher, worker="w1", period=timedelta(seconds=0.05))
    relay.start()
    assert (await taken(channel, "chat.free")).message_id == "m1"
    await wait_until(lambda: not outbox.rows)
    await relay.drain()


async def test_only_the_message_that_fails_stays(
    publisher: ConfirmedPublisher, channel: AbstractRobustChannel
) -> None:
    outbox = MemoryOutbox()
    rows = outbox.commit(
        OutgoingMessage("m1", "jobs", "nowhere", b"{}"),
        OutgoingMessage("m2", "jobs", "chat.free", b"{}"),
        OutgoingMessage("m3", "stream", "job.1", b"{}", mandatory=False),
    )
    await OutboxRelay(outbox, publisher, worker="w1").flush(rows)
    await wait_until(lambda: len(outbox.rows) == 1)
    assert [row.message.message_id for row in outbox.rows.values()] == ["m1"]
    assert (await taken(channel, "chat.free")).message_id == "m2"
