import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from psycopg.errors import DeadlockDetected
from sqlalchemy.exc import OperationalError

from shared.domain.errors import DatabaseUnavailableError
from shared.persistence.group_commit import GroupCommit

_IN_TIME = timedelta(seconds=10)


def _away() -> DatabaseUnavailableError:
    return DatabaseUnavailableError("away")


def _deadlock() -> DatabaseUnavailableError:
    error = DatabaseUnavailableError("deadlock")
    error.__cause__ = OperationalError("SELECT", {}, DeadlockDetected())
    return error


@dataclass
class Database:
    """Doubles what it is given; fails as scripted, then whenever a batch holds a bad item."""

    script: list[BaseException] = field(default_factory=list[BaseException])
    bad: int | None = None
    batches: list[Sequence[int]] = field(default_factory=list[Sequence[int]])
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    open: asyncio.Event = field(default_factory=asyncio.Event)
    results: Callable[[Sequence[int]], Sequence[int]] = lambda items: [2 * i for i in items]

    async def execute(self, items: Sequence[int]) -> Sequence[int]:
        self.batches.append(items)
        self.asked.set()
        await self.open.wait()
        if self.script:
            raise self.script.pop(0)
        if self.bad in items:
            raise ValueError(self.bad)
        return self.results(items)


def _open_database(*script: BaseException, bad: int | None = None) -> Database:
    database = Database([*script], bad)
    database.open.set()
    return database


async def _crowd(
    commit: GroupCommit[int, int], items: Sequence[int]
) -> Sequence[int | BaseException]:
    async with asyncio.timeout(_IN_TIME.total_seconds()):
        return await asyncio.gather(*(commit(item) for item in items), return_exceptions=True)


async def test_a_lone_item_goes_alone_and_at_once() -> None:
    database = _open_database()
    assert await GroupCommit(database.execute)(1) == 2
    assert database.batches == [[1]]


async def test_what_gathers_while_a_batch_runs_goes_next_together() -> None:
    database = Database()
    commit = GroupCommit(database.execute)
    first = asyncio.create_task(commit(0))
    await database.asked.wait()
    crowd = asyncio.create_task(_crowd(commit, range(1, 50)))
    await asyncio.sleep(0)
    database.open.set()
    assert await first == 0
    assert await crowd == [2 * item for item in range(1, 50)]
    assert database.batches == [[0], [*range(1, 50)]]


async def test_no_batch_is_larger_than_allowed() -> None:
    database = _open_database()
    results = await _crowd(GroupCommit(database.execute, max_items=10), range(25))
    assert results == [2 * item for item in range(25)]
    assert max(len(batch) for batch in database.batches) == 10


async def test_a_bad_item_harms_only_itself() -> None:
    results = await _crowd(GroupCommit(_open_database(bad=3).execute), range(5))
    assert [r for r in results if not isinstance(r, BaseException)] == [0, 2, 4, 8]
    assert isinstance(results[3], ValueError)


async def test_a_deadlock_is_tried_again() -> None:
    database = _open_database(_deadlock(), _deadlock())
    assert await _crowd(GroupCommit(database.execute), [1, 2]) == [2, 4]
    assert database.batches == [[1, 2]] * 3


async def test_a_batch_that_always_deadlocks_is_tried_item_by_item() -> None:
    database = _open_database(*(_deadlock() for _ in range(5)))
    assert await _crowd(GroupCommit(database.execute), [1, 2]) == [2, 4]
    assert database.batches[-2:] == [[1], [2]]


async def test_an_item_that_always_deadlocks_fails_for_now() -> None:
    database = _open_database(*(_deadlock() for _ in range(5)))
    with pytest.raises(DatabaseUnavailableError):
        await GroupCommit(database.execute)(1)


async def test_an_absent_database_fails_the_whole_batch_at_once() -> None:
    database = _open_database(_away())
    results = await _crowd(GroupCommit(database.execute), [1, 2])
    assert [type(result) for result in results] == [DatabaseUnavailableError] * 2
    assert database.batches == [[1, 2]]


async def test_patience_outlasts_an_outage() -> None:
    database = _open_database(_away(), _away(), _away())
    commit = GroupCommit(database.execute, patience=_IN_TIME)
    assert await _crowd(commit, [1, 2]) == [2, 4]


async def test_patience_ends() -> None:
    database = _open_database(*(_away() for _ in range(99)))
    commit = GroupCommit(database.execute, patience=timedelta(seconds=0.1))
    with pytest.raises(DatabaseUnavailableError):
        await commit(1)


async def test_a_caller_that_leaves_changes_nothing_for_the_others() -> None:
    database = Database()
    commit = GroupCommit(database.execute)
    leaving, staying = asyncio.create_task(commit(1)), asyncio.create_task(commit(2))
    await database.asked.wait()
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    database.open.set()
    assert await staying == 4
    assert database.batches == [[1, 2]]


async def test_a_batch_that_is_cancelled_leaves_nobody_waiting() -> None:
    results = await _crowd(GroupCommit(_open_database(asyncio.CancelledError()).execute), [1, 2])
    assert [type(result) for result in results] == [asyncio.CancelledError] * 2


async def test_missing_results_leave_nobody_waiting() -> None:
    database = _open_database()
    database.results = lambda _: [7]
    results = await _crowd(GroupCommit(database.execute), [1, 2])
    assert results == [7, 7]
    database.results = lambda _: []
    results = await _crowd(GroupCommit(database.execute), [1, 2])
    assert [type(result) for result in results] == [RuntimeError] * 2


async def test_after_a_failure_the_next_item_is_served() -> None:
    commit = GroupCommit(_open_database(_away()).execute)
    with pytest.raises(DatabaseUnavailableError):
        await commit(1)
    assert await commit(2) == 4
