"""Sends an answer in one piece: billed once it is computed, broken when a fault says so.

Invariant: what was computed is billed even if nobody waits for it any more.
"""

import asyncio

from simulator.answers import Answer
from simulator.behaviour import Mode
from simulator.bill import Charge
from simulator.conduct import Conduct
from simulator.exchange import Exchange

_KEEP_ALIVE = b": keep-alive\n\n"
_KEEP_ALIVE_SECONDS = 0.05


async def compute(answer: Answer, charge: Charge, conduct: Conduct) -> None:
    """Take the time an answer takes, and bill it."""
    if conduct.tokens_per_second:
        await asyncio.sleep(answer.output_tokens / conduct.tokens_per_second)
    charge.ended(answer.output_tokens, completed=True)


async def send_whole(exchange: Exchange, value: object, conduct: Conduct) -> None:
    """Send a JSON answer that is on the bill already."""
    match conduct.mode:
        case Mode.STALL:
            await exchange.client_left(None)
        case Mode.MALFORMED:
            await exchange.answer(200, b'{"result":{"response":"')
        case _:
            await exchange.answer_json(200, value)


async def keep_silent(exchange: Exchange, *, streamed: bool) -> None:
    """Never say a word until the client leaves; a stream is kept alive, without a token."""
    if not streamed:
        await exchange.client_left(None)
        return
    await exchange.start_events()
    await exchange.write(_KEEP_ALIVE)
    while not await exchange.client_left(_KEEP_ALIVE_SECONDS):
        await exchange.write(_KEEP_ALIVE)
