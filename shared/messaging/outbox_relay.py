"""Brings committed messages to the broker: at once after their commit, and again until it worked.

Invariant: a row leaves the outbox only after the broker has confirmed its message. Publishing one
twice is fine, because receivers drop repeats by message id.
"""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import structlog

from shared.domain.errors import DatabaseUnavailableError, TransientError
from shared.domain.outgoing import OutboxRow
from shared.messaging.ticking import Ticker, start_rounds
from shared.ports.messaging import MessagePublisher, Outbox

_log = structlog.stdlib.get_logger(__name__)
_DELETION_SECONDS = 0.05
"""How long confirmed rows wait for company; a crash meanwhile only repeats their messages."""


class OutboxRelay:
    """Publishes outbox rows; implements `CommittedMessages`. Any process may run one."""

    def __init__(
        self,
        outbox: Outbox,
        publisher: MessagePublisher,
        *,
        worker: str,
        period: timedelta = timedelta(seconds=1),
        batch: int = 500,
    ) -> None:
        """Build it idle; `start` the loop.

        Args:
            outbox: Where rows wait.
            publisher: With confirms.
            worker: Names this process, and spreads its rounds in time.
            period: Between two looks for rows that are due.
            batch: How many rows one look takes.
        """
        self._outbox = outbox
        self._publisher = publisher
        self._batch = batch
        self._ticker = Ticker(period, f"relay:{worker}")
        self._draining = False
        self._loop: asyncio.Task[None] | None = None
        self._confirmed: list[int] = []
        self._deletion: asyncio.Task[None] | None = None

    async def flush(self, rows: Sequence[OutboxRow]) -> None:
        """Publish rows that were just committed; what fails stays for the loop.

        Never raises for the broker: the rows are safe. Confirmed rows are deleted a moment later,
        together with those of other flushes.
        """
        self._confirmed += await self._publish(rows)
        if self._confirmed and self._deletion is None:
            self._deletion = asyncio.create_task(self._delete_soon(), name="outbox-deletion")

    def start(self) -> None:
        """Begin to look for rows that are due."""
        self._loop = start_rounds(self._run(), "outbox-relay")

    async def drain(self) -> None:
        """End the loop after a final look, so that a stopping process leaves little behind."""
        self._draining = True
        self._ticker.wake()
        if self._loop is not None:
            await self._loop
        if self._deletion is not None:
            await self._deletion
        await self._relay_due()

    @property
    def is_alive(self) -> bool:
        """Whether the loop runs; a process without it must be restarted."""
        return self._loop is not None and not self._loop.done()

    async def _run(self) -> None:
        while not self._draining:
            await self._ticker.tick()
            await self._relay_due()

    async def _relay_due(self) -> None:
        """Publish what is due until a look comes back short or something fails."""
        try:
            while True:
                rows = await self._outbox.due(self._batch)
                sent = await self._publish(rows)
                await self._outbox.sent(sent)
                if len(sent) < self._batch:
                    return
        except DatabaseUnavailableError as error:
            _log.warning("outbox.unreadable", error=str(error))

    async def _delete_soon(self) -> None:
        await asyncio.sleep(_DELETION_SECONDS)
        ids, self._confirmed, self._deletion = self._confirmed, [], None
        try:
            await self._outbox.sent(ids)
        except DatabaseUnavailableError as error:
            # They are published again, and dropped by their receivers.
            _log.warning("outbox.marks_lost", rows=len(ids), error=str(error))

    async def _publish(self, rows: Sequence[OutboxRow]) -> Sequence[int]:
        """Publish, and return the ids of the rows that were confirmed."""
        if not rows:
            return []
        outcomes = await self._publisher.publish_many([row.message for row in rows])
        sent: list[int] = []
        for row, error in zip(rows, outcomes, strict=True):
            if error is None:
                sent.append(row.id)
                continue
            # A permanent error is a topology bug or a queue at its limit: somebody must look.
            report = _log.warning if isinstance(error, TransientError) else _log.error
            report("outbox.not_sent", row=row.id, error=str(error))
        return sent
