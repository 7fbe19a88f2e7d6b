"""What becomes of a delivery: the one place that catches everything.

Every delivery ends in exactly one of: handled, delayed on the retry ladder, or dead-lettered with a
reason — and is acknowledged only after that is safe. Nothing is ever returned to its queue by NACK:
RabbitMQ 4.3 redelivers such a message 4,000 times a second, without end (measured 2026-08).
"""

from bisect import bisect_left
from collections.abc import Awaitable, Callable
from traceback import extract_tb
from typing import Final, Generic, TypeVar

import structlog
from faststream.exceptions import RejectMessage
from faststream.rabbit import RabbitMessage
from pydantic import ValidationError

from shared.domain.errors import BrokerUnavailableError, SluicewayError, TransientError
from shared.domain.outgoing import OutgoingMessage
from shared.domain.retry import RUNGS, Rung
from shared.messaging.publisher import ConfirmedPublisher, Headers
from shared.messaging.topology import DEAD_LETTERS

REASON_HEADER: Final = "x-sluiceway-reason"
ROUND_HEADER: Final = "x-sluiceway-attempt"
_LAST_ROUND_OF_RUNG: Final = (6, 10, 14, 20)
LAST_ROUND: Final = _LAST_ROUND_OF_RUNG[-1]
"""After so many, a delivery is dead-lettered."""
_SHOWN_LOCATIONS: Final = 5

M = TypeVar("M")
_log = structlog.stdlib.get_logger(__name__)


def rung_of_round(round_number: int) -> Rung:
    """Return where a delivery waits before its next round; twenty rounds last about 70 minutes.

    Five seconds while an outage may be short; a database that is away for an hour must not have
    its jobs in the dead-letter queue when it returns.
    """
    return RUNGS[bisect_left(_LAST_ROUND_OF_RUNG, round_number)]


class AcknowledgedSubscriber(Generic[M]):
    """Turns deliveries into messages for a handler, and the handler's outcome into an ack.

    The handler must be safe to run twice for one message id. It signals failure only by raising:
    a `TransientError` delays the delivery, anything else dead-letters it.
    """

    def __init__(
        self,
        handle: Callable[[M], Awaitable[None]],
        decode: Callable[[bytes], M],
        publisher: ConfirmedPublisher,
    ) -> None:
        self._handle = handle
        self._decode = decode
        self._publisher = publisher

    async def receive(self, message: RabbitMessage) -> None:
        """Handle one delivery; the callable to subscribe with, acknowledged when it returns."""
        try:
            decoded = self._decode(message.body)
        except ValidationError as error:
            await self._dead_letter(message, undecodable(error))
            return
        try:
            await self._handle(decoded)
        except TransientError as error:
            await self._delay(message, error)
        except Exception as error:  # noqa: BLE001 - a bug in a handler must not lose its message
            await self._dead_letter(message, unexpected(error))

    async def _delay(self, message: RabbitMessage, error: TransientError) -> None:
        round_number = _round_of(message) + 1
        if round_number > LAST_ROUND:
            await self._dead_letter(
                message, f"still failing after {LAST_ROUND} rounds: {_described(error)}"
            )
            return
        rung = rung_of_round(round_number)
        _log.warning(
            "delivery.delayed",
            message_id=message.message_id,
            round=round_number,
            delay_seconds=rung.delay.total_seconds(),
            error=_described(error),
        )
        copy = _copy(message, rung.exchange)
        await self._publish_until_confirmed(copy, {ROUND_HEADER: round_number})

    async def _publish_until_confirmed(self, copy: OutgoingMessage, headers: Headers) -> None:
        # Meanwhile the delivery stays ours and unacknowledged. If its connection goes too, the
        # broker gives it to another worker and this handler is cancelled.
        while True:
            try:
                await self._publisher.publish(copy, headers)
            except BrokerUnavailableError as error:
                _log.warning("delivery.held", message_id=copy.message_id, error=_described(error))
            else:
                return

    async def _dead_letter(self, message: RabbitMessage, reason: str) -> None:
        _log.error("delivery.dead_lettered", message_id=message.message_id, reason=reason)
        try:
            await self._publisher.publish(_copy(message, DEAD_LETTERS), {REASON_HEADER: reason})
        except SluicewayError as error:
            # The queue's policy then dead-letters it, without our reason.
            raise RejectMessage from error


def _copy(message: RabbitMessage, exchange: str) -> OutgoingMessage:
    return OutgoingMessage(
        message_id=message.message_id,
        exchange=exchange,
        routing_key=message.raw_message.routing_key or "",
        body=message.body,
    )


def _round_of(message: RabbitMessage) -> int:
    rounds = message.headers.get(ROUND_HEADER)
    return rounds if isinstance(rounds, int) else 0


def undecodable(error: ValidationError) -> str:
    """Say where the body is wrong, never with what: values may be secret."""
    details = error.errors(include_url=False, include_context=False, include_input=False)
    places = (".".join(map(str, detail["loc"])) or "the body" for detail in details)
    shown = ", ".join([*places][:_SHOWN_LOCATIONS])
    return f"undecodable: {error.error_count()} errors at {shown}"


def unexpected(error: Exception) -> str:
    """Name a bug and its place."""
    frames = extract_tb(error.__traceback__)
    place = f" at {frames[-1].name}:{frames[-1].lineno}" if frames else ""
    return f"unexpected: {_described(error)}{place}"


def _described(error: Exception) -> str:
    """Name the error; only our own messages are known to hold no secret and no prompt."""
    name = type(error).__name__
    return f"{name}: {error}" if isinstance(error, SluicewayError) else name
