"""A cost aggregator that dies at one point: `python -m tests.chaos.crashing_aggregator POINT`."""

import sys
from collections.abc import Sequence
from dataclasses import replace
from enum import StrEnum

import uvloop
from sqlalchemy.ext.asyncio import AsyncEngine

from services.cost_aggregator.main import open_ports, run
from services.cost_aggregator.settings import load_settings
from shared.domain.ledger import LedgerEntry
from shared.domain.lost_work import Abandonment
from shared.domain.outgoing import OutboxRow
from shared.observability import logging
from shared.persistence.engine import create_engine
from shared.persistence.repositories.leases import PostgresLeases
from shared.persistence.repositories.ledger import PostgresLedger
from shared.ports.money import Booked
from shared.system import SystemClock
from tests.chaos.dying import die


class Point(StrEnum):
    """Where the aggregator dies."""

    BEFORE_BOOKING = "before_booking"
    AFTER_BOOKING = "after_booking"
    BEFORE_ABANDONING = "before_abandoning"
    AFTER_ABANDONING = "after_abandoning"


class DyingLedger(PostgresLedger):
    def __init__(self, engine: AsyncEngine, point: Point) -> None:
        super().__init__(engine, SystemClock())
        self._point = point

    async def book(self, entries: Sequence[LedgerEntry]) -> Booked:
        if self._point is Point.BEFORE_BOOKING:
            die()
        booked = await super().book(entries)
        if self._point is Point.AFTER_BOOKING:
            die()
        return booked


class DyingLeases(PostgresLeases):
    def __init__(self, engine: AsyncEngine, point: Point) -> None:
        super().__init__(engine)
        self._point = point

    async def abandon(self, abandonment: Abandonment) -> Sequence[OutboxRow]:
        if self._point is Point.BEFORE_ABANDONING:
            die()
        rows = await super().abandon(abandonment)
        if self._point is Point.AFTER_ABANDONING:
            die()
        return rows


async def work(point: Point) -> None:
    settings = load_settings()
    logging.configure(settings.process.name, settings.process.log_level)
    engine = create_engine(settings.database.url)
    async with open_ports(settings) as ports:
        dying = replace(ports, ledger=DyingLedger(engine, point), leases=DyingLeases(engine, point))
        await run(settings, dying)
    await engine.dispose()


def main() -> None:
    uvloop.run(work(Point(sys.argv[1])))


if __name__ == "__main__":
    main()
