"""What workers may expect of the turns they share: of the fake and the real ones alike."""

from collections.abc import AsyncGenerator, Sequence
from datetime import timedelta

import pytest
from sqlalchemy import text

from shared.domain.rate_limits import Pace
from shared.persistence.connections import statement
from shared.persistence.engine import create_engine
from shared.persistence.repositories.rate_turns import PostgresRateTurns
from shared.ports.rate_turns import RateTurns, TurnWish
from tests.support.fakes_of_circuits import MemoryRateTurns
from tests.support.fakes_of_time import StillClock

MINUTE = timedelta(minutes=1)
REQUESTS = Pace(timedelta(seconds=10), timedelta(0))
TOKENS = Pace(timedelta(seconds=1), timedelta(0))
NONE = timedelta(0)


@pytest.fixture
async def turns(address: str) -> AsyncGenerator[RateTurns]:
    if not address:
        yield MemoryRateTurns(StillClock())
        return
    engine = create_engine(address)
    async with statement(engine) as connection:
        await connection.execute(text("DELETE FROM rate_turns"))
    yield PostgresRateTurns(engine)
    await engine.dispose()


def _wish(tokens: int | None = None) -> TurnWish:
    if tokens is None:
        return TurnWish({"requests": 1}, {"requests": REQUESTS})
    return TurnWish({"requests": 1, "tokens": tokens}, {"requests": REQUESTS, "tokens": TOKENS})


def _seconds(waits: Sequence[timedelta | None]) -> list[int | None]:
    """Round to seconds; the real clock runs on between two statements."""
    return [None if wait is None else round(wait.total_seconds()) for wait in waits]


async def test_turns_follow_one_another(turns: RateTurns) -> None:
    assert _seconds(await turns.take([_wish(), _wish(), _wish()], MINUTE)) == [0, 10, 20]
    assert _seconds(await turns.take([_wish()], MINUTE)) == [30]


async def test_a_turn_is_given_within_the_time_or_not_taken(turns: RateTurns) -> None:
    assert _seconds(await turns.take([_wish()] * 3, timedelta(seconds=15))) == [0, 10, None]
    assert _seconds(await turns.take([_wish()], MINUTE)) == [20]


async def test_a_call_waits_for_the_limit_that_is_last_to_have_room(turns: RateTurns) -> None:
    assert _seconds(await turns.take([_wish(tokens=25), _wish(tokens=1)], MINUTE)) == [0, 25]


async def test_without_a_turn_in_one_limit_none_is_taken_in_the_others(turns: RateTurns) -> None:
    assert _seconds(await turns.take([_wish(tokens=90), _wish(tokens=1)], MINUTE)) == [0, None]
    assert _seconds(await turns.take([_wish()], MINUTE)) == [10]


async def test_those_behind_one_without_a_turn_do_not_overtake_it(turns: RateTurns) -> None:
    wishes = [_wish(tokens=90), _wish(tokens=1), _wish()]
    assert _seconds(await turns.take(wishes, MINUTE)) == [0, None, None]


async def test_what_was_not_used_is_there_for_others(turns: RateTurns) -> None:
    await turns.take([_wish(tokens=90)], MINUTE)
    await turns.give_back("tokens", TOKENS, 80)
    assert _seconds(await turns.take([_wish(tokens=1)], MINUTE)) == [10]


async def test_a_quiet_time_lets_a_burst_through(turns: RateTurns) -> None:
    pace = Pace(timedelta(seconds=10), timedelta(seconds=20))
    wish = TurnWish({"requests": 1}, {"requests": pace})
    assert _seconds(await turns.take([wish] * 4, MINUTE)) == [0, 0, 0, 10]


async def test_a_call_without_limits_goes_at_once(turns: RateTurns) -> None:
    assert await turns.take([TurnWish({}, {})], NONE) == [NONE]
