import asyncio
from datetime import timedelta

from shared.messaging.ticking import Ticker


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
