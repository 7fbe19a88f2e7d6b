"""Prints the OpenAPI document: `python -m services.api.openapi`; no broker or database is asked."""

import sys
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager

import orjson

from services.api.app import create_app
from services.api.database import Database
from services.api.parts import ApiParts, BrokerSide
from services.api.use_cases.flushing import GatheredFlush
from services.api.use_cases.watching import Watch
from shared.domain.errors import BrokerUnavailableError
from shared.domain.ids import JobId, QueueName
from shared.domain.outgoing import OutboxRow
from shared.domain.work import NewJob
from shared.observability.metrics import Metrics
from shared.ports.messaging import QueueDepth
from shared.providers.price_files import load_price_book
from shared.providers.routing_file import load_routing_table
from shared.settings import RoutingSettings, load
from shared.system import RandomIds, SystemClock


class NoBroker:
    """Stands where the broker would be; whoever asks it is told that it is away."""

    def watch(self, job_id: JobId) -> AbstractAsyncContextManager[Watch]:
        """Refuse."""
        raise BrokerUnavailableError(f"there is no broker to watch {job_id} on")

    def expect(self, job: NewJob) -> None:
        """Keep nothing."""

    async def depths(self, queues: Sequence[QueueName]) -> Mapping[QueueName, QueueDepth]:
        """Refuse."""
        raise BrokerUnavailableError(f"there is no broker with {', '.join(queues)}")

    async def flush(self, rows: Sequence[OutboxRow]) -> None:
        """Leave the rows in the outbox."""

    async def send(self) -> None:
        """Hint at nothing."""


def document() -> bytes:
    """Return the OpenAPI document of the app that serves, as indented JSON."""
    clock, no_broker, routing = SystemClock(), NoBroker(), load(RoutingSettings)
    parts = ApiParts(
        stores=Database("postgresql://nobody@localhost/nothing", clock).stores,
        broker=BrokerSide(
            watches=no_broker,
            flush=GatheredFlush(no_broker),
            depths=no_broker,
            hint=no_broker,
        ),
        routing=load_routing_table(routing.routing),
        prices=load_price_book(routing.prices),
        clock=clock,
        ids=RandomIds(),
        random_text=str,
        admin_key="",
        checks={},
        metrics=Metrics(),
    )
    return orjson.dumps(create_app(parts).openapi(), option=orjson.OPT_INDENT_2)


if __name__ == "__main__":
    sys.stdout.buffer.write(document() + b"\n")
