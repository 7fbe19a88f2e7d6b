"""Sends an answer in one piece: billed once it is computed, broken when a fault says so.

Invariant: what was computed is billed even if nobody waits for it any more.
"""

import asyncio

from simulator.answers import Answer
from simulator.bill import Charge
from simulator.control import Behaviour, Mode
from simulator.exchange import Exchange


async def compute(answer: Answer, charge: Charge, behaviour: Behaviour) -> None:
    """Take the time an answer takes, and bill it."""
    if behaviour.tokens_per_second:
        await asyncio.sleep(answer.output_tokens / behaviour.tokens_per_second)
    charge.ended(answer.output_tokens, completed=True)


async def send_whole(exchange: Exchange, value: object, behaviour: Behaviour) -> None:
    """Send a JSON answer that is on the bill already."""
    match behaviour.mode:
        case Mode.STALL:
            await exchange.client_left(None)
        case Mode.MALFORMED:
            await exchange.answer(200, b'{"result":{"response":"')
        case _:
            await exchange.answer_json(200, value)
