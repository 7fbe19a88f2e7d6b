"""Fakes of the ports that messaging needs, and short ways to ask a real broker."""

import asyncio
import json
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from http.client import HTTPConnection
from urllib.parse import urlsplit

from aio_pika.abc import AbstractIncomingMessage, AbstractRobustChannel

from shared.domain.errors import DatabaseUnavailableError, SluicewayError
from shared.domain.gates import Gate, GateState, QueueActual
from shared.domain.ids import QueueName
from shared.domain.outgoing import OutboxRow, OutgoingMessage


@dataclass
class MemoryOutbox:
    """An outbox without a database; a leased row is due again after `return_leases`."""

    rows: dict[int, OutboxRow] = field(default_factory=dict[int, OutboxRow])
    leased: set[int] = field(default_factory=set[int])
    is_down: bool = False
    refusals: int = 0
    last_id: int = 0

    def commit(self, *messages: OutgoingMessage) -> list[OutboxRow]:
        """Store messages as a use case's transaction would."""
        rows = [OutboxRow(self.last_id + n, each) for n, each in enumerate(messages, start=1)]
        self.last_id += len(rows)
        self.rows |= {row.id: row for row in rows}
        return rows

    def return_leases(self) -> None:
        """Let 10 seconds pass."""
        self.leased.clear()

    async def due(self, limit: int) -> Sequence[OutboxRow]:
        """Lease rows."""
        self._answer()
        rows = [row for row in self.rows.values() if row.id not in self.leased][:limit]
        self.leased |= {row.id for row in rows}
        return rows

    async def sent(self, ids: Sequence[int]) -> None:
        """Delete rows."""
        self._answer()
        for row_id in ids:
            self.rows.pop(row_id, None)

    def _answer(self) -> None:
        if self.is_down:
            self.refusals += 1
            raise DatabaseUnavailableError("the fake is down")


@dataclass
class MemoryGates:
    """Gates without a database."""

    gates: dict[QueueName, Gate] = field(default_factory=dict[QueueName, Gate])
    reports: dict[tuple[str, QueueName], QueueActual] = field(
        default_factory=dict[tuple[str, QueueName], QueueActual]
    )
    is_down: bool = False
    reads: int = 0
    elsewhere: int = 0
    """Calls that other workers make."""

    def move(self, queue: QueueName, desired: GateState, concurrency: int | None = None) -> Gate:
        """Move a gate, one generation on."""
        before = self.gates.get(queue, Gate(queue, GateState.RUNNING, 0))
        after = replace(
            before, desired=desired, generation=before.generation + 1, concurrency=concurrency
        )
        self.gates[queue] = after
        return after

    async def desired(self, queues: Sequence[QueueName]) -> Mapping[QueueName, Gate]:
        """Return the gates."""
        self.reads += 1
        self._answer()
        return {queue: self.gates[queue] for queue in queues if queue in self.gates}

    async def calls_under_way(self, queue: QueueName) -> int:
        """Return what the other workers run; this one counts its own by slots."""
        self._answer()
        return self.elsewhere if queue in self.gates else 0

    async def report(self, worker: str, actual: Sequence[QueueActual]) -> None:
        """Store what a worker does."""
        self._answer()
        self.reports |= {(worker, each.queue): each for each in actual}

    def _answer(self) -> None:
        if self.is_down:
            raise DatabaseUnavailableError("the fake is down")


@dataclass
class ListPublisher:
    """A broker that takes everything, except what a test refuses."""

    published: list[OutgoingMessage] = field(default_factory=list[OutgoingMessage])
    refusals: dict[str, SluicewayError] = field(default_factory=dict[str, SluicewayError])

    async def publish(self, message: OutgoingMessage) -> None:
        """Take a message or raise its refusal."""
        error = self.refusals.get(message.message_id)
        if error is not None:
            raise error
        self.published.append(message)

    async def publish_many(
        self, messages: Sequence[OutgoingMessage]
    ) -> Sequence[SluicewayError | None]:
        """Take each or return its refusal."""
        self.published += [each for each in messages if each.message_id not in self.refusals]
        return [self.refusals.get(each.message_id) for each in messages]


async def taken(
    channel: AbstractRobustChannel, queue: str, within_seconds: float = 10.0
) -> AbstractIncomingMessage:
    """Wait for a queue's next message and take it off."""
    declared = await channel.declare_queue(queue, passive=True, robust=False)
    async with asyncio.timeout(within_seconds):
        while True:
            message = await declared.get(no_ack=True, fail=False)
            if message is not None:
                return message
            await asyncio.sleep(0.02)


async def ready_count(channel: AbstractRobustChannel, queue: str) -> int:
    """Count what waits in a queue."""
    declared = await channel.declare_queue(queue, passive=True, robust=False)
    return declared.declaration_result.message_count or 0


def ask_management(
    management_url: str, method: str, path: str, body: Mapping[str, object] | None = None
) -> object:
    """Ask the management API; fail on an error status."""
    parts = urlsplit(management_url)
    token = b64encode(f"{parts.username or 'guest'}:{parts.password or 'guest'}".encode()).decode()
    connection = HTTPConnection(parts.hostname or "127.0.0.1", parts.port, timeout=10)
    try:
        headers = {"authorization": f"Basic {token}", "content-type": "application/json"}
        connection.request(method, path, json.dumps(body or {}), headers)
        response = connection.getresponse()
        text = response.read()
        assert response.status < 300, (method, path, response.status, text)
        answer: object = json.loads(text) if text else None
        return answer
    finally:
        connection.close()
