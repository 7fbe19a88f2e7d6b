"""Turns usage events into bookings; this queue has no gate, because money is always booked."""

from services.cost_aggregator.settings import LEDGER_BATCH
from services.cost_aggregator.use_cases.book_usage import BookUsage
from shared.messages.events import UsageRecorded
from shared.messaging.batch_receiver import BatchReceiver
from shared.messaging.publisher import ConfirmedPublisher
from shared.messaging.queue_reader import QueueReader
from shared.messaging.topology import USAGE_LEDGER


def subscribe_ledger(
    broker_url: str, name: str, publisher: ConfirmedPublisher, book_usage: BookUsage
) -> BatchReceiver[UsageRecorded]:
    """Return the ledger's receiver, not started.

    Idempotent by attempt id: a repeat finds its entry and changes nothing.

    Args:
        broker_url: Where the queue is.
        name: This process.
        publisher: For dead letters.
        book_usage: What is done with a batch.
    """
    return BatchReceiver(
        QueueReader(broker_url, name, USAGE_LEDGER, prefetch=2 * LEDGER_BATCH),
        book_usage,
        UsageRecorded.model_validate_json,
        publisher,
        largest=LEDGER_BATCH,
    )
