"""Turns usage events into bookings; this queue has no gate, because money is always booked."""

from faststream.rabbit.subscriber.usecase import RabbitSubscriber

from services.cost_aggregator.settings import LEDGER_PREFETCH
from services.cost_aggregator.use_cases.book_usage import BookUsage
from shared.messages.events import UsageRecorded
from shared.messaging.acknowledgement import AcknowledgedSubscriber
from shared.messaging.brokers import subscribe
from shared.messaging.topology import USAGE_LEDGER
from shared.messaging.worker_process import Connections


def subscribe_ledger(connections: Connections, book_usage: BookUsage) -> RabbitSubscriber:
    """Return the ledger's subscriber, not started.

    Idempotent by attempt id: a repeat finds its entry and changes nothing.
    """
    receiver = AcknowledgedSubscriber(
        book_usage, UsageRecorded.model_validate_json, connections.publisher
    )
    return subscribe(connections.consume, USAGE_LEDGER, receiver.receive, prefetch=LEDGER_PREFETCH)
