"""Live counts of queues, for whoever explains why a job waits.

A passive declare is exact at that moment; the management API lags by seconds.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final

from aio_pika.abc import AbstractRobustChannel, AbstractRobustConnection
from aio_pika.exceptions import AMQPError

from shared.domain.errors import BrokerUnavailableError
from shared.domain.ids import QueueName
from shared.ports.messaging import QueueDepth

_TIMEOUT_SECONDS: Final = 2.0


class BrokerQueueDepths:
    """Asks the broker on a channel of its own; implements `QueueDepths`."""

    def __init__(self, channel: AbstractRobustChannel) -> None:
        self._channel = channel

    @classmethod
    async def open(cls, connection: AbstractRobustConnection) -> "BrokerQueueDepths":
        """Open a channel on the connection."""
        channel = connection.channel()
        await channel.initialize()
        return cls(channel)

    async def depths(self, queues: Sequence[QueueName]) -> Mapping[QueueName, QueueDepth]:
        """Return the counts of each queue, which must exist.

        Raises:
            BrokerUnavailableError: The broker did not answer.
        """
        try:
            async with asyncio.timeout(_TIMEOUT_SECONDS):
                return {queue: await self._depth(queue) for queue in queues}
        except (AMQPError, ConnectionError, TimeoutError, RuntimeError) as error:
            raise BrokerUnavailableError(
                f"the depth of {', '.join(queues)} is unknown ({type(error).__name__})"
            ) from error

    async def _depth(self, queue: QueueName) -> QueueDepth:
        declared = await self._channel.declare_queue(queue, passive=True, robust=False)
        counts = declared.declaration_result
        return QueueDepth(ready=counts.message_count or 0, consumers=counts.consumer_count or 0)
