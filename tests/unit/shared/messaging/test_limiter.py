import asyncio

import pytest

from shared.messaging.limiter import Limiter
from tests.support.waiting import wait_until


async def _inside(limiter: Limiter, may_leave: asyncio.Event) -> None:
    async with limiter.slot():
        await may_leave.wait()


async def test_without_a_cap_everybody_is_let_in() -> None:
    limiter, may_leave = Limiter(), asyncio.Event()
    async with asyncio.TaskGroup() as group:
        for _ in range(50):
            group.create_task(_inside(limiter, may_leave))
        await wait_until(lambda: limiter.in_flight == 50)
        may_leave.set()
    assert limiter.in_flight == 0


async def test_a_cap_lets_the_next_in_when_one_leaves() -> None:
    limiter = Limiter()
    limiter.set_limit(1)
    most = 0

    async def work() -> None:
        nonlocal most
        async with limiter.slot():
            most = max(most, limiter.in_flight)
            await asyncio.sleep(0)

    await asyncio.gather(*(work() for _ in range(20)))
    assert most == 1


async def test_a_lowered_cap_stops_nobody_inside_and_a_raised_one_lets_more_in() -> None:
    limiter, may_leave = Limiter(), asyncio.Event()
    limiter.set_limit(2)
    async with asyncio.TaskGroup() as group:
        for _ in range(5):
            group.create_task(_inside(limiter, may_leave))
        await wait_until(lambda: limiter.in_flight == 2)
        limiter.set_limit(1)
        assert limiter.in_flight == 2
        limiter.set_limit(4)
        await wait_until(lambda: limiter.in_flight == 4)
        limiter.set_limit(None)
        await wait_until(lambda: limiter.in_flight == 5)
        may_leave.set()


async def test_a_cancelled_job_gives_its_slot_back() -> None:
    limiter = Limiter()
    limiter.set_limit(1)
    first = asyncio.create_task(_inside(limiter, asyncio.Event()))
    await wait_until(lambda: limiter.in_flight == 1)
    may_leave = asyncio.Event()
    second = asyncio.create_task(_inside(limiter, may_leave))
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    await wait_until(lambda: limiter.in_flight == 1)
    may_leave.set()
    await second
