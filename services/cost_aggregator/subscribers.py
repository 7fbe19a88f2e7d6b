"""Turns usage events into bookings; this queue has no gate, because money is always booked."""

from services.cost_aggregator.settings import LEDGER_PREFETCH
from services.cost_aggregator.use_cases.book_usage import BookUsage
from shared.messages.events import UsageRecorded
from shared.messaging.batch_receiver import BatchReceiver, open_batch_receiver
from shared.messaging.topology import USAGE_LEDGER
from shared.messaging.worker_process import Connections


async def subscribe_ledger(
    connections: Connections, book_usage: BookUsage
) -> BatchReceiver[UsageRecorded]:
    """Return the ledger's receiver, not started.

    Idempotent by attempt id: a repeat finds its entry and changes nothing.
    """
    return await open_batch_receiver(
        connections.consuming,
        USAGE_LEDGER,
        book_usage,
        UsageRecorded.model_validate_json,
        connections.publisher,
        prefetch=LEDGER_PREFETCH,
    )
