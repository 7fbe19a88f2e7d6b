"""Sends an answer as server-sent events: at the set speed, billed as it goes, broken by faults.

Invariant: the output tokens on the bill are the tokens sent, whoever ends the stream; a usage chunk
is only sent with the whole answer and says what the bill says.
"""

import asyncio
from dataclasses import dataclass
from typing import Protocol

from simulator.answers import Answer
from simulator.behaviour import Mode
from simulator.bill import Charge
from simulator.conduct import Conduct
from simulator.exchange import Exchange

_PIECES_PER_WRITE = 32
_SHORTEST_WAIT_SECONDS = 0.01
_BROKEN_EVENT = b'data: {"choices":[{"index":0,"delta":{"content":"\n\n'
_BREAKING = frozenset({Mode.CUT_STREAM, Mode.STALL, Mode.MALFORMED, Mode.ERROR_IN_STREAM})


class Dialect(Protocol):
    """How a provider writes a stream."""

    def opening(self) -> bytes:
        """Return the events before the first token."""
        ...

    def thought(self, piece: str) -> bytes:
        """Return the event of one token that was thought; blank where thoughts are not shown."""
        ...

    def token(self, piece: str) -> bytes:
        """Return the event of one token."""
        ...

    def failure(self, error: str | None) -> bytes:
        """Return the event of an error in the middle; None for the usual one."""
        ...

    def closing(self, answer: Answer, charge: Charge) -> bytes:
        """Return the events after the last token, usage and terminator included."""
        ...


@dataclass(slots=True)
class _Pace:
    tokens_per_second: float
    started: float

    def allowed(self, sent: int) -> int:
        """Return how many pieces may have been sent by now."""
        if not self.tokens_per_second:
            return sent + _PIECES_PER_WRITE if sent else 1
        elapsed = asyncio.get_running_loop().time() - self.started
        return 1 + int(elapsed * self.tokens_per_second)

    def wait_seconds(self, sent: int) -> float:
        """Return how long until the next piece; grouped, as timers cost more than pieces."""
        if not self.tokens_per_second:
            return 0
        due = self.started + sent / self.tokens_per_second
        return max(due - asyncio.get_running_loop().time(), _SHORTEST_WAIT_SECONDS)


async def stream_answer(
    exchange: Exchange,
    dialect: Dialect,
    answer: Answer,
    charge: Charge,
    conduct: Conduct,
) -> None:
    """Stream an answer; returns soon after the client left."""
    events = _events(dialect, answer)
    breaks = conduct.mode in _BREAKING
    if breaks:
        events = _before_the_break(events, conduct.after_chunks)
    if conduct.latency_seconds and await exchange.client_left(0):
        return
    await exchange.start_events()
    completed = False
    try:
        if await _send(exchange, dialect.opening(), events, charge, conduct.tokens_per_second):
            if breaks:
                await _break_off(exchange, dialect, conduct)
                return
            completed = True
    finally:
        if charge.output_tokens:
            charge.ended(charge.output_tokens, completed=completed)
    if completed:
        await exchange.finish(dialect.closing(answer, charge))


def _events(dialect: Dialect, answer: Answer) -> list[bytes]:
    """Return one event per token; blank for those that are not shown."""
    tokens = list(map(dialect.token, answer.pieces))
    return [*map(dialect.thought, answer.thoughts), *tokens] if answer.thoughts else tokens


def _before_the_break(events: list[bytes], chunks: int) -> list[bytes]:
    """Return the events up to and with as many visible ones."""
    kept: list[bytes] = []
    for event in events:
        if chunks <= 0:
            break
        kept.append(event)
        chunks -= bool(event)
    return kept


async def _send(
    exchange: Exchange,
    pending: bytes,
    events: list[bytes],
    charge: Charge,
    tokens_per_second: float,
) -> bool:
    """Send what is pending and every event; False when the client left before the last."""
    pace = _Pace(tokens_per_second, asyncio.get_running_loop().time())
    sent = 0
    while sent < len(events):
        allowed = min(pace.allowed(sent), len(events))
        if allowed > sent:
            charge.produced(allowed)
            await exchange.write(pending + b"".join(events[sent:allowed]))
            pending, sent = b"", allowed
        if sent < len(events) and await exchange.client_left(pace.wait_seconds(sent)):
            return False
    if pending:
        await exchange.write(pending)
    return True


async def _break_off(exchange: Exchange, dialect: Dialect, conduct: Conduct) -> None:
    match conduct.mode:
        case Mode.STALL:
            await exchange.client_left(None)
        case Mode.MALFORMED:
            await exchange.finish(_BROKEN_EVENT)
        case Mode.ERROR_IN_STREAM:
            await exchange.finish(dialect.failure(conduct.error))
        case _:
            await exchange.finish()
