"""Hints that a gate has moved, from whoever moved it to every worker.

A hint says nothing but "look again": the database is the truth, so hints may be lost, doubled or
late. Nothing here may therefore stop a worker from working.
"""

from collections.abc import Callable

import structlog
from aio_pika.abc import (
    AbstractIncomingMessage,
    AbstractRobustChannel,
    AbstractRobustConnection,
)
from aio_pika.exceptions import AMQPError

from shared.messaging.publisher import FireAndForgetPublisher
from shared.messaging.topology import CONTROL, control_queue

_log = structlog.stdlib.get_logger(__name__)


class FanoutHint:
    """Sends hints; implements `ControlHint`."""

    def __init__(self, publisher: FireAndForgetPublisher) -> None:
        self._publisher = publisher

    @classmethod
    async def open(cls, connection: AbstractRobustConnection) -> "FanoutHint":
        """Open a channel on the publish broker's connection."""
        return cls(await FireAndForgetPublisher.open(connection, CONTROL))

    async def send(self) -> None:
        """Send the hint; losing it is fine, because workers tick."""
        await self._publisher.send("", b"{}")


class HintListener:
    """Hears hints on a queue that lives as long as the connection.

    Each connection gets a queue with a new name, and not one that aio-pika restores: after a
    half-open connection the broker still holds the old exclusive queue, and a restore that fails
    on it would keep the whole connection from coming back.
    """

    def __init__(
        self,
        connection: AbstractRobustConnection,
        channel: AbstractRobustChannel,
        boot_id: str,
        on_hint: Callable[[], None],
    ) -> None:
        self._connection = connection
        self._channel = channel
        self._boot_id = boot_id
        self._on_hint = on_hint
        self._connections = 0

    @classmethod
    async def listen(
        cls, connection: AbstractRobustConnection, boot_id: str, on_hint: Callable[[], None]
    ) -> "HintListener":
        """Call `on_hint` at every hint, and after every reconnect, which may have missed some."""
        channel = connection.channel()
        await channel.initialize()
        listener = cls(connection, channel, boot_id, on_hint)
        await listener._subscribe()
        connection.reconnect_callbacks.add(listener._resubscribe)
        return listener

    async def close(self) -> None:
        """Stop listening."""
        self._connection.reconnect_callbacks.discard(self._resubscribe)
        await self._channel.close()

    async def _subscribe(self) -> None:
        self._connections += 1
        queue = control_queue(f"{self._boot_id}-{self._connections}")
        declared = await self._channel.declare_queue(
            queue.name,
            durable=queue.durable,
            exclusive=queue.exclusive,
            auto_delete=queue.auto_delete,
            arguments=dict(queue.arguments),
            robust=False,
        )
        await declared.bind(CONTROL, robust=False)
        await declared.consume(self._hear, no_ack=True, robust=False)

    async def _resubscribe(self, *_: object) -> None:
        try:
            await self._subscribe()
        except (AMQPError, ConnectionError, TimeoutError, RuntimeError) as error:
            _log.warning("gate.hints_lost", error=type(error).__name__)
        self._on_hint()

    async def _hear(self, _: AbstractIncomingMessage) -> None:
        self._on_hint()
