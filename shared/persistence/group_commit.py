"""Group commit: concurrent callers share one statement and one commit.

Whatever gathered while the last statement ran goes next, so a lone caller waits for nobody and a
crowd costs little. A batch that the database rolled back only because of its company (a deadlock)
is tried again; one that fails for good is tried item by item, so that a bad item harms only itself.
"""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from datetime import timedelta
from typing import Generic, TypeVar

from shared.domain.errors import DatabaseUnavailableError, TransientError
from shared.persistence.connections import lost_to_company

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")
_TRIES = 5
_FIRST_PAUSE_SECONDS = 0.05
_LONGEST_PAUSE_SECONDS = 1.0


class GroupCommit(Generic[ItemT, ResultT]):
    """Runs `execute` for batches of items, one batch at a time.

    Args:
        execute: Takes items, commits, and returns one result per item, in order.
        max_items: The most items of one batch.
        patience: How long a batch is repeated while the database is away. Only for an `execute`
            that may be repeated when nobody knows whether it has committed.
    """

    def __init__(
        self,
        execute: Callable[[Sequence[ItemT]], Coroutine[None, None, Sequence[ResultT]]],
        max_items: int = 256,
        patience: timedelta = timedelta(0),
    ) -> None:
        self._execute = execute
        self._max_items = max_items
        self._patience_seconds = patience.total_seconds()
        self._pending: list[tuple[ItemT, asyncio.Future[ResultT]]] = []
        self._runner: asyncio.Task[None] | None = None

    async def __call__(self, item: ItemT) -> ResultT:
        """Return the item's result once its batch is committed; raises what `execute` raised."""
        future: asyncio.Future[ResultT] = asyncio.get_running_loop().create_future()
        self._pending.append((item, future))
        if self._runner is None or self._runner.done():
            self._runner = asyncio.create_task(self._run())
        return await future

    async def _run(self) -> None:
        while self._pending:
            batch = self._pending[: self._max_items]
            self._pending = self._pending[self._max_items :]
            await self._commit(batch)

    async def _commit(self, batch: Sequence[tuple[ItemT, asyncio.Future[ResultT]]]) -> None:
        outcome = await self._tried([item for item, _ in batch])
        if len(batch) > 1 and _may_be_one_items_fault(outcome):
            for one in batch:
                await self._commit([one])
            return
        for position, (_, future) in enumerate(batch):
            if future.done():  # its caller has been cancelled; the commit stands
                continue
            if isinstance(outcome, BaseException):
                future.set_exception(outcome)
            else:
                future.set_result(outcome[position])

    async def _tried(self, items: Sequence[ItemT]) -> Sequence[ResultT] | BaseException:
        loop = asyncio.get_running_loop()
        end = loop.time() + self._patience_seconds
        tries, pause_seconds = 1, _FIRST_PAUSE_SECONDS
        while True:
            outcome = await self._once(items)
            if not isinstance(outcome, DatabaseUnavailableError):
                return outcome
            if lost_to_company(outcome):
                if tries == _TRIES:
                    return outcome
                tries += 1
            elif loop.time() + pause_seconds > end:
                return outcome
            else:
                await asyncio.sleep(pause_seconds)
                pause_seconds = min(pause_seconds * 2, _LONGEST_PAUSE_SECONDS)

    async def _once(self, items: Sequence[ItemT]) -> Sequence[ResultT] | BaseException:
        # As a task, an outcome of any kind reaches the callers: none is left waiting for ever.
        task = asyncio.create_task(self._execute(items))
        await asyncio.wait([task])
        if task.cancelled():
            return asyncio.CancelledError()
        error = task.exception()
        if error is not None:
            return error
        results = task.result()
        if len(results) != len(items):
            return RuntimeError(f"{len(results)} results for a batch of {len(items)}")
        return results


def _may_be_one_items_fault(outcome: object) -> bool:
    if not isinstance(outcome, Exception):
        return False
    return lost_to_company(outcome) or not isinstance(outcome, TransientError)
