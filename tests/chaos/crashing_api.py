"""An API that dies while it accepts a job: `python -m tests.chaos.crashing_api POINT`."""

import sys
from collections.abc import Sequence
from dataclasses import replace
from enum import StrEnum

import uvloop
from sqlalchemy.ext.asyncio import AsyncEngine

from services.api.database import Database
from services.api.main import run
from shared.domain.work import NewJob, SubmitOutcome
from shared.observability.logging import configure
from shared.persistence.engine import create_engine
from shared.persistence.repositories.jobs import PostgresJobs
from shared.persistence.repositories.outbox import PostgresOutbox
from shared.settings import DatabaseSettings, ProcessSettings, load
from shared.system import SystemClock
from tests.chaos.dying import die


class Point(StrEnum):
    """Where the API dies."""

    BEFORE_COMMIT = "before_commit"
    AFTER_COMMIT = "after_commit"
    AFTER_PUBLISH = "after_publish"


class DyingJobs(PostgresJobs):
    def __init__(self, engine: AsyncEngine, point: Point) -> None:
        super().__init__(engine)
        self._point = point

    async def submit(self, job: NewJob) -> SubmitOutcome:
        if self._point is Point.BEFORE_COMMIT:
            die()
        outcome = await super().submit(job)
        if self._point is Point.AFTER_COMMIT:
            die()
        return outcome


class DyingOutbox(PostgresOutbox):
    async def sent(self, ids: Sequence[int]) -> None:
        if ids:
            die()


async def work(point: Point) -> None:
    process = load(ProcessSettings)
    configure(process.name, process.log_level)
    url = load(DatabaseSettings).url
    engine = create_engine(url)
    database = Database(url, SystemClock())
    database.stores = replace(database.stores, jobs=DyingJobs(engine, point))
    if point is Point.AFTER_PUBLISH:
        database.outbox = DyingOutbox(engine)
    await run(process, database)
    await engine.dispose()


def main() -> None:
    uvloop.run(work(Point(sys.argv[1])))


if __name__ == "__main__":
    main()
