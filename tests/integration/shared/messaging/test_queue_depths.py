import pytest
from aio_pika.abc import AbstractRobustConnection

from shared.domain.errors import BrokerUnavailableError
from shared.domain.gates import CHAT_FREE, CHAT_PAID
from shared.domain.ids import QueueName
from shared.domain.outgoing import OutgoingMessage
from shared.messaging.publisher import ConfirmedPublisher
from shared.messaging.queue_depths import BrokerQueueDepths
from shared.ports.messaging import QueueDepth

pytestmark = pytest.mark.integration


async def test_depths_are_counted_live(
    connection: AbstractRobustConnection, publisher: ConfirmedPublisher
) -> None:
    depths = await BrokerQueueDepths.open(connection)
    await publisher.publish(OutgoingMessage("m1", "jobs", CHAT_FREE, b"{}"))
    assert await depths.depths([CHAT_FREE, CHAT_PAID]) == {
        CHAT_FREE: QueueDepth(ready=1, consumers=0),
        CHAT_PAID: QueueDepth(ready=0, consumers=0),
    }


async def test_a_missing_queue_has_no_depth(connection: AbstractRobustConnection) -> None:
    depths = await BrokerQueueDepths.open(connection)
    with pytest.raises(BrokerUnavailableError, match="missing"):
        await depths.depths([QueueName("missing")])
