"""Turns within rate limits, as one process takes them."""

import asyncio
from datetime import timedelta

import pytest

from shared.admission.pacing import Pacer
from shared.domain.catalog import CLOUDFLARE, OPENAI
from shared.domain.errors import DatabaseUnavailableError
from shared.domain.rate_limits import RateLimit
from shared.domain.routes import Candidate
from shared.system import SystemClock
from tests.support.fakes_of_circuits import MemoryRateTurns
from tests.support.waiting import wait_until

LLAMA = Candidate(CLOUDFLARE, "llama")
LUNA = Candidate(OPENAI, "luna")
PATIENCE = timedelta(seconds=5)
FAST = RateLimit(provider=CLOUDFLARE, model="llama", requests_per_minute=6_000)
SLOW = RateLimit(provider=CLOUDFLARE, model="llama", requests_per_minute=1)
TOKENS = RateLimit(provider=CLOUDFLARE, tokens_per_minute=6_000)
NO_TIME = timedelta(0)


def _pacer(turns: MemoryRateTurns, *limits: RateLimit, tokens: int = 1) -> Pacer:
    return Pacer(turns, limits, {CLOUDFLARE: tokens})


async def test_a_model_without_a_limit_asks_nobody() -> None:
    turns = MemoryRateTurns(SystemClock())
    assert await _pacer(turns, FAST).turn(LUNA, 10, NO_TIME) is not None
    assert turns.asked == []


async def test_calls_that_come_together_ask_together() -> None:
    turns = MemoryRateTurns(SystemClock())
    pacer = _pacer(turns, FAST)
    came = await asyncio.gather(*(pacer.turn(LLAMA, 10, PATIENCE) for _ in range(50)))
    assert None not in came
    assert turns.asked == [50]


async def test_turns_come_at_the_pace_of_the_limit() -> None:
    pacer = _pacer(MemoryRateTurns(SystemClock()), FAST)
    loop = asyncio.get_running_loop()
    began = loop.time()
    await asyncio.gather(*(pacer.turn(LLAMA, 10, PATIENCE) for _ in range(110)))
    # 72 leave at once after a quiet time, 38 follow 10 ms one after another
    assert 0.3 < loop.time() - began < 3


async def test_a_call_whose_turn_does_not_come_in_time_goes_without() -> None:
    pacer = _pacer(MemoryRateTurns(SystemClock()), SLOW)
    assert await pacer.turn(LLAMA, 10, PATIENCE) is not None
    assert await pacer.turn(LLAMA, 10, timedelta(seconds=0.05)) is None


async def test_a_call_that_gave_up_takes_nobodys_turn() -> None:
    turns = MemoryRateTurns(SystemClock())
    pacer = _pacer(turns, SLOW)
    await pacer.turn(LLAMA, 10, PATIENCE)
    before = dict(turns.next_turns)
    await asyncio.gather(*(pacer.turn(LLAMA, 10, timedelta(seconds=0.05)) for _ in range(5)))
    assert turns.next_turns == before


async def test_nobody_waits_while_the_process_stops() -> None:
    turns = MemoryRateTurns(SystemClock())
    pacer = _pacer(turns, SLOW)
    await pacer.turn(LLAMA, 10, PATIENCE)
    waiting = asyncio.create_task(pacer.turn(LLAMA, 10, timedelta(hours=1)))
    await wait_until(lambda: len(turns.asked) == 2)
    pacer.stop_waiting()
    async with asyncio.timeout(1):
        assert await waiting is None


async def test_without_the_database_nobody_calls() -> None:
    turns = MemoryRateTurns(SystemClock(), is_away=True)
    with pytest.raises(DatabaseUnavailableError):
        await _pacer(turns, FAST).turn(LLAMA, 10, PATIENCE)


async def test_limits_that_hold_for_each_token_are_used_in_turn() -> None:
    turns = MemoryRateTurns(SystemClock())
    each = RateLimit(provider=CLOUDFLARE, is_per_token=True, requests_per_minute=6_000)
    pacer = _pacer(turns, each, tokens=2)
    credentials = [
        turn.credential
        for turn in await asyncio.gather(*(pacer.turn(LLAMA, 1, PATIENCE) for _ in range(4)))
        if turn is not None
    ]
    assert credentials == [0, 1, 0, 1]
    assert set(turns.next_turns) == {"cloudflare/*#0 requests", "cloudflare/*#1 requests"}


async def test_tokens_that_were_not_used_are_returned() -> None:
    turns = MemoryRateTurns(SystemClock())
    pacer = _pacer(turns, TOKENS, FAST)
    await pacer.turn(LLAMA, 1_000, PATIENCE)
    before = turns.next_turns["cloudflare/* tokens"]
    pacer.used(LLAMA, None, held=1_000, used=400)
    pacer.used(LLAMA, None, held=1_000, used=1_000)
    await pacer.refresh()
    returned = before - turns.next_turns["cloudflare/* tokens"]
    assert returned.total_seconds() == pytest.approx(600 * 60 / (6_000 * 0.97), abs=0.01)
    await pacer.refresh()
    assert before - turns.next_turns["cloudflare/* tokens"] == returned


async def test_tokens_stay_to_be_returned_while_the_database_is_away() -> None:
    turns = MemoryRateTurns(SystemClock())
    pacer = _pacer(turns, TOKENS)
    await pacer.turn(LLAMA, 1_000, PATIENCE)
    before = turns.next_turns["cloudflare/* tokens"]
    pacer.used(LLAMA, None, held=1_000, used=0)
    turns.is_away = True
    with pytest.raises(DatabaseUnavailableError):
        await pacer.refresh()
    turns.is_away = False
    await pacer.refresh()
    assert turns.next_turns["cloudflare/* tokens"] < before


async def test_a_call_without_patience_takes_a_turn_that_is_now() -> None:
    turns = MemoryRateTurns(SystemClock())
    pacer = _pacer(turns, SLOW)
    assert await pacer.turn(LLAMA, 10, NO_TIME) is not None
    before = dict(turns.next_turns)
    assert await pacer.turn(LLAMA, 10, NO_TIME) is None
    assert turns.next_turns == before


async def test_a_call_without_patience_overtakes_nobody() -> None:
    turns = MemoryRateTurns(SystemClock())
    pacer = _pacer(turns, SLOW)
    await pacer.turn(LLAMA, 10, PATIENCE)
    waiting = asyncio.create_task(pacer.turn(LLAMA, 10, timedelta(hours=1)))
    await wait_until(lambda: len(turns.asked) > 1)
    turns.next_turns.clear()
    assert await pacer.turn(LLAMA, 10, NO_TIME) is None
    assert await waiting is not None
