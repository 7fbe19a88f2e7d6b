"""Group commit: concurrent callers share one statement and one commit.

Whatever gathered while the last statement ran goes next, so a lone caller waits for nobody and a
crowd costs little. A batch that the database rolled back only because of its company (a deadlock)
is tried again; one that fails for good is tried item by item, so that a bad item harms only itself.
"""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Generic, TypeVar

from sqlalchemy.exc import DBAPIError

from shared.persistence.connections import is_deadlock

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")
_TRIES = 5


class GroupCommit(Generic[ItemT, ResultT]):
    """Runs `execute` for batches of items, one batch at a time.

    Args:
        execute: Takes items, commits, and returns one result per item, in order.
        max_items: The most items of one batch.
    """

    def __init__(
        self,
        execute: Callable[[Sequence[ItemT]], Coroutine[None, None, Sequence[ResultT]]],
        max_items: int = 256,
    ) -> None:
        self._execute = execute
        self._max_items = max_items
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
        if isinstance(outcome, DBAPIError) and len(batch) > 1:
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
        error: BaseException = asyncio.CancelledError()
        for _ in range(_TRIES):
            # As a task, an outcome of any kind reaches the callers: none is left waiting for ever.
            task = asyncio.create_task(self._execute(items))
            await asyncio.wait([task])
            if task.cancelled():
                break
            failure = task.exception()
            if failure is None:
                return task.result()
            error = failure
            if not (isinstance(failure, DBAPIError) and is_deadlock(failure)):
                break
        return error
