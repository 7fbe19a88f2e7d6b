"""The two brokers of every process: one consumes, one publishes.

Under a memory or disk alarm RabbitMQ stops reading from a connection that publishes, and with it
the acknowledgements on that connection; work would be delivered twice. Hence never one for both.
"""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TypeVar
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from aio_pika import IncomingMessage
from faststream import AckPolicy
from faststream.message import StreamMessage
from faststream.rabbit import Channel, RabbitBroker, RabbitMessage, RabbitQueue
from faststream.rabbit.subscriber.usecase import RabbitSubscriber

from shared.domain.ids import QueueName

_HEARTBEAT_SECONDS = 15
"""A half-open connection is noticed after 48 s; after 183 s with the default of 60."""
_RECONNECT_SECONDS = 1.0

MessageT = TypeVar("MessageT", bound=StreamMessage[IncomingMessage])


def consume_broker(url: str, name: str, graceful_timeout: timedelta) -> RabbitBroker:
    """Return the broker to subscribe with; not connected yet.

    Args:
        url: The broker's AMQP URL.
        name: The process, as the management pages show it.
        graceful_timeout: Longer than the longest handler: at a stop, handlers are cancelled then.
    """
    return RabbitBroker(
        _named(url, f"{name}-consume"),
        graceful_timeout=graceful_timeout.total_seconds(),
        reconnect_interval=_RECONNECT_SECONDS,
        ack_policy=AckPolicy.REJECT_ON_ERROR,
        # FastStream's injection resolves its arguments in a thread, message by message: half of the
        # CPU time of a delivery (measured 2026-11). Handlers take the message and nothing else.
        apply_types=False,
        decoder=_whole_message,
        logger=None,
    )


def publish_broker(url: str, name: str) -> RabbitBroker:
    """Return the broker to publish with; not connected yet, nothing may be consumed on it."""
    return RabbitBroker(
        _named(url, f"{name}-publish"),
        reconnect_interval=_RECONNECT_SECONDS,
        default_channel=Channel(on_return_raises=True),
        logger=None,
    )


def subscribe(
    broker: RabbitBroker,
    queue: QueueName,
    receive: Callable[[RabbitMessage], Awaitable[None]],
    *,
    prefetch: int,
) -> RabbitSubscriber:
    """Return a subscriber of a queue of the topology, with a channel of its own.

    Made after the broker's start, it is not started; that is how a gate decides when it is.

    Args:
        broker: From `consume_broker`.
        queue: Must exist.
        receive: Such as `AcknowledgedSubscriber.receive`.
        prefetch: How many messages are handled at a time.
    """
    subscriber = broker.subscriber(
        RabbitQueue(queue, declare=False),
        channel=Channel(prefetch_count=prefetch),
        no_reply=True,
        title=queue,
    )
    subscriber(receive)
    return subscriber


async def _whole_message(message: MessageT) -> MessageT:
    # Bodies are decoded by us, so that one that is no JSON is dead-lettered with a reason.
    return message


def _named(url: str, name: str) -> str:
    parts = urlsplit(url)
    query = {**dict(parse_qsl(parts.query)), "heartbeat": str(_HEARTBEAT_SECONDS), "name": name}
    return urlunsplit(parts._replace(query=urlencode(query)))
