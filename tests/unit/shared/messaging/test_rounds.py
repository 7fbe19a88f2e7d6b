import asyncio
from datetime import timedelta

import pytest
import structlog

from shared.domain.errors import DatabaseUnavailableError
from shared.messaging.rounds import Rounds
from tests.support.waiting import wait_until

_PERIOD = timedelta(milliseconds=5)


class Action:
    """Counts its rounds; fails in the first."""

    def __init__(self, error: Exception | None = None) -> None:
        self.rounds = 0
        self._error = error

    async def __call__(self) -> None:
        self.rounds += 1
        if self._error is not None and self.rounds == 1:
            raise self._error


async def test_rounds_follow_each_other_until_the_end() -> None:
    action = Action()
    rounds = Rounds("test", _PERIOD, action)
    alive = [rounds.is_alive]
    rounds.start()
    await wait_until(lambda: action.rounds >= 3)
    alive.append(rounds.is_alive)
    await rounds.drain()
    alive.append(rounds.is_alive)
    assert alive == [False, True, False]


async def test_a_transient_failure_costs_one_round() -> None:
    action = Action(DatabaseUnavailableError("away"))
    rounds = Rounds("test", _PERIOD, action)
    with structlog.testing.capture_logs() as logs:
        rounds.start()
        await wait_until(lambda: action.rounds >= 2)
    assert [line["loop"] for line in logs if line["event"] == "round.failed"] == ["test"]
    await rounds.drain()


async def test_a_bug_ends_the_rounds_and_shows() -> None:
    rounds = Rounds("test", _PERIOD, Action(LookupError()))
    rounds.start()
    await wait_until(lambda: not rounds.is_alive)
    with pytest.raises(LookupError):
        await rounds.drain()


async def test_draining_before_the_start_is_fine() -> None:
    async with asyncio.timeout(5):
        await Rounds("test", _PERIOD, Action()).drain()
