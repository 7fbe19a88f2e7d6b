"""Stops and resumes one subscriber without stranding a message.

FastStream 0.7.8's own `stop()` drains before it cancels the consumer: what the broker delivers
meanwhile is dropped unacknowledged and stays stuck until the channel closes; and after an outage
aio-pika registers the consumer of a paused subscriber again. Both need private attributes, so the
suite beside this module runs against every new version of FastStream.
"""

import asyncio
import contextlib
from typing import Final

from aio_pika.exceptions import AMQPError
from faststream.rabbit.subscriber.usecase import RabbitSubscriber

_CANCEL_SECONDS: Final = 5.0


async def pause(subscriber: RabbitSubscriber) -> None:
    """Stop consuming, then wait for the handlers that run, at most the broker's graceful timeout.

    Safe to repeat. Don't `resume` before it has returned: FastStream would forget those handlers.
    """
    # FastStream offers no way to cancel before draining; see the module's docstring.
    tag, subscriber._consumer_tag = subscriber._consumer_tag, None  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
    queue = subscriber._queue_obj  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
    if tag is not None and queue is not None:
        queue._consumers.pop(tag, None)  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
        if not queue.channel.is_closed:
            with contextlib.suppress(AMQPError, ConnectionError, TimeoutError, RuntimeError):
                await asyncio.wait_for(queue.cancel(tag), _CANCEL_SECONDS)
    await subscriber.stop()


async def resume(subscriber: RabbitSubscriber) -> None:
    """Consume, for the first time or again."""
    await subscriber.start()
