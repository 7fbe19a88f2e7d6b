"""What workers and the API may expect of checks of models: the fake and the real one alike."""

from collections.abc import AsyncGenerator, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Protocol

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.domain.catalog import CLOUDFLARE, OPENAI
from shared.domain.model_alerts import ModelAlert
from shared.domain.model_states import (
    ListOutcome,
    ListRead,
    ListUnread,
    ModelState,
    ModelStatus,
)
from shared.persistence.engine import create_engine
from shared.persistence.repositories.model_checks import PostgresModels
from shared.ports.models import ModelChecks, ModelFindings, ModelListStatus, ModelOverview
from tests.support.chat_jobs import rows
from tests.support.fakes_of_models import MemoryModels

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
END = date(2026, 12, 20)
DAY = timedelta(days=1)


class Models(ModelChecks, ModelOverview, Protocol):
    """Both sides of the store."""


class Bench(Protocol):
    """The store, and what people have been told."""

    @property
    def models(self) -> Models:
        """Return what is tested."""
        ...

    async def told(self) -> Sequence[tuple[str, str]]:
        """Return each fired alert's model with its step, and its message."""
        ...


class MemoryBench:
    """The fake."""

    def __init__(self) -> None:
        self._memory = MemoryModels()

    @property
    def models(self) -> Models:
        return self._memory

    async def told(self) -> Sequence[tuple[str, str]]:
        return [
            (f"{model} {step}", alert.message)
            for ((_, model), step, _), alert in self._memory.fired.items()
        ]


class PostgresBench:
    """The real one."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._models = PostgresModels(engine)

    @property
    def models(self) -> Models:
        return self._models

    async def told(self) -> Sequence[tuple[str, str]]:
        found = await rows(self._engine, "SELECT threshold, message FROM alerts ORDER BY id")
        return [(str(threshold), str(message)) for threshold, message in found]


@pytest.fixture
async def bench(address: str) -> AsyncGenerator[Bench]:
    if not address:
        yield MemoryBench()
        return
    engine = create_engine(address)
    yield PostgresBench(engine)
    await engine.dispose()


def _luna(state: ModelState, at: datetime = NOON, ends: date | None = None) -> ModelStatus:
    return ModelStatus(OPENAI, "luna", state, ends, at)


def _findings(
    *statuses: ModelStatus,
    at: datetime = NOON,
    outcome: ListOutcome = ListRead(()),  # noqa: B008 - frozen
    alerts: Sequence[ModelAlert] = (),
) -> ModelFindings:
    return ModelFindings(at, statuses, [(OPENAI, outcome)], alerts)


def _missing(at: datetime) -> ModelFindings:
    status = _luna(ModelState.MISSING, at)
    return _findings(status, at=at, alerts=[ModelAlert(status, "missing", None, "gone")])


def _retiring(ends: date) -> ModelFindings:
    status = _luna(ModelState.RETIRING, ends=ends)
    occasion = datetime(ends.year, ends.month, ends.day, tzinfo=UTC)
    return _findings(status, alerts=[ModelAlert(status, "30d", occasion, f"ends on {ends}")])


async def _checked(bench: Bench, at: datetime, found: ModelFindings | None = None) -> bool:
    """Make the check that is due, if one is."""
    checks = await bench.models.claim("worker-1", at, is_night=False)
    if checks:
        await bench.models.finish(checks, found or _findings(at=at))
    return bool(checks)


async def test_the_first_check_is_due_at_once(bench: Bench) -> None:
    assert len(await bench.models.claim("worker-1", NOON, is_night=False)) == 1


async def test_a_check_is_one_workers(bench: Bench) -> None:
    await bench.models.claim("worker-1", NOON, is_night=True)
    assert [*await bench.models.claim("worker-2", NOON, is_night=True)] == []


async def test_a_dead_workers_check_is_made_by_another(bench: Bench) -> None:
    first = await bench.models.claim("worker-1", NOON, is_night=True)
    assert [*await bench.models.claim("worker-2", NOON + timedelta(minutes=4), is_night=True)] == []
    later = NOON + timedelta(minutes=5)
    assert [*await bench.models.claim("worker-2", later, is_night=True)] == [*first]


async def test_a_night_is_checked_once(bench: Bench) -> None:
    assert await _checked(bench, NOON)
    assert [*await bench.models.claim("worker-1", NOON, is_night=True)] == []


async def test_the_next_night_is_checked_when_it_comes_or_after_a_day(bench: Bench) -> None:
    await _checked(bench, NOON)
    night = datetime(2026, 11, 24, 0, 7, tzinfo=UTC)
    assert [*await bench.models.claim("worker-1", night, is_night=False)] == []
    assert len(await bench.models.claim("worker-1", night, is_night=True)) == 1
    assert await _checked(bench, NOON + 2 * DAY)


async def test_what_is_asked_for_is_due_until_its_results_are_there(bench: Bench) -> None:
    await _checked(bench, NOON)
    asked = await bench.models.demand("key-1", NOON)
    assert asked.finished_at is None
    checks = await bench.models.claim("worker-1", NOON, is_night=False)
    assert [*checks] == [asked.id]
    await bench.models.finish(checks, _findings(at=NOON + timedelta(seconds=1)))
    done = await bench.models.check(asked.id)
    assert done is not None
    assert (done.requested_at, done.finished_at) == (NOON, NOON + timedelta(seconds=1))
    assert [*await bench.models.claim("worker-1", NOON, is_night=False)] == []


async def test_a_check_that_has_not_begun_serves_whoever_asks(bench: Bench) -> None:
    await _checked(bench, NOON)
    first = await bench.models.demand("key-1", NOON)
    assert await bench.models.demand("key-2", NOON + timedelta(seconds=1)) == first
    await bench.models.claim("worker-1", NOON, is_night=False)
    assert (await bench.models.demand("key-2", NOON)).id != first.id


async def test_one_check_answers_the_night_and_whoever_asked(bench: Bench) -> None:
    asked = await bench.models.demand("key-1", NOON)
    checks = await bench.models.claim("worker-1", NOON, is_night=True)
    assert len(checks) == 2
    assert asked.id in checks


async def test_a_check_that_nobody_asked_for_is_none(bench: Bench) -> None:
    assert await bench.models.check(17) is None


async def test_a_list_that_could_not_be_read_is_tried_again_in_a_quarter_of_an_hour(
    bench: Bench,
) -> None:
    await _checked(bench, NOON, _findings(outcome=ListUnread("away")))
    assert not await _checked(bench, NOON + timedelta(minutes=14))
    later = NOON + timedelta(minutes=16)
    rounds = [await _checked(bench, later) for _ in range(3)]
    assert rounds.count(True) == 1
    assert not await _checked(bench, later + timedelta(hours=1)), "the list has been read"


async def test_what_was_found_is_known(bench: Bench) -> None:
    assert [*await bench.models.known()] == []
    statuses = [
        _luna(ModelState.RETIRING, ends=END),
        ModelStatus(CLOUDFLARE, "llama", ModelState.UNKNOWN, None, None),
    ]
    await bench.models.finish([], _findings(*statuses))
    assert [*await bench.models.known()] == [statuses[1], statuses[0]]
    later = _luna(ModelState.RETIRED, NOON + DAY, END)
    await bench.models.finish([], _findings(later))
    assert [*await bench.models.known()] == [statuses[1], later]


async def test_a_failed_reading_keeps_the_time_of_the_last_one(bench: Bench) -> None:
    await bench.models.finish([], _findings(outcome=ListUnread("away")))
    assert [*await bench.models.lists()] == [ModelListStatus(OPENAI, None, "away")]
    await bench.models.finish([], _findings())
    assert [*await bench.models.lists()] == [ModelListStatus(OPENAI, NOON, None)]
    await bench.models.finish([], _findings(at=NOON + DAY, outcome=ListUnread("away")))
    assert [*await bench.models.lists()] == [ModelListStatus(OPENAI, NOON, "away")]


async def test_a_step_is_told_once_per_end(bench: Bench) -> None:
    for ends in (END, END, END + DAY):
        await bench.models.finish([], _retiring(ends))
    assert [*await bench.told()] == [
        ("luna 30d", "ends on 2026-12-20"),
        ("luna 30d", "ends on 2026-12-21"),
    ]


async def test_a_missing_model_is_told_once_until_it_is_back(bench: Bench) -> None:
    await bench.models.finish([], _missing(NOON))
    await bench.models.finish([], _missing(NOON + DAY))
    assert [*await bench.told()] == [("luna missing", "gone")]
    await bench.models.finish([], _findings(_luna(ModelState.LISTED), at=NOON + 2 * DAY))
    await bench.models.finish([], _missing(NOON + 3 * DAY))
    assert len(await bench.told()) == 2
