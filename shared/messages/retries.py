"""A command on its way back to its queue after a delay."""

from datetime import datetime, timedelta

from shared.domain.outgoing import DelayedMessage, OutgoingMessage
from shared.domain.retry import rung_for


def delayed(command: OutgoingMessage, delay: timedelta, now: datetime) -> DelayedMessage:
    """Return the command for the lowest rung that waits long enough.

    A delay beyond the ladder is waited for in the outbox.
    """
    rung = rung_for(delay)
    if rung is None:
        return DelayedMessage(command, available_at=now + delay)
    return DelayedMessage(
        OutgoingMessage(
            message_id=command.message_id,
            exchange=rung.exchange,
            routing_key=command.routing_key,
            body=command.body,
        )
    )
