import asyncio
from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from shared.messaging.ticking import Ticker, start_rounds


async def test_a_round_comes_by_itself() -> None:
    await asyncio.wait_for(Ticker(timedelta(seconds=0.01), "a").tick(), 5)


async def test_waking_begins_the_round_at_once_and_only_one() -> None:
    ticker = Ticker(timedelta(hours=1), "a")
    ticker.wake()
    ticker.wake()
    await asyncio.wait_for(ticker.tick(), 5)
    following = asyncio.create_task(ticker.tick())
    await asyncio.sleep(0)
    assert not following.done()
    ticker.wake()
    await asyncio.wait_for(following, 5)


async def test_a_loop_that_dies_says_so() -> None:
    async def rounds() -> None:
        raise ZeroDivisionError

    with capture_logs() as logs:
        loop = start_rounds(rounds(), "a")
        with pytest.raises(ZeroDivisionError):
            await loop
    assert logs == [
        {"event": "rounds.died", "log_level": "critical", "loop": "a", "error": "ZeroDivisionError"}
    ]


async def test_a_cancelled_loop_is_no_death() -> None:
    ticker = Ticker(timedelta(hours=1), "a")
    with capture_logs() as logs:
        loop = start_rounds(ticker.tick(), "a")
        loop.cancel()
        with pytest.raises(asyncio.CancelledError):
            await loop
    assert not logs
