"""Sends an answer as server-sent events: at the set speed, billed as it goes, broken by faults.

Invariant: the output tokens on the bill are the tokens sent, whoever ends the stream; a usage chunk
is only sent with the whole answer and says what the bill says.
"""

import asyncio
from dataclasses import dataclass
from typing import Protocol

from simulator.answers import Answer
from simulator.bill import Charge
from simulator.control import Behaviour, Mode
from simulator.exchange import Exchange

_PIECES_PER_WRITE = 32
_SHORTEST_WAIT_SECONDS = 0.01
_BROKEN_EVENT = b'data: {"choices":[{"index":0,"delta":{"content":"\n\n'
_BREAKING = frozenset({Mode.CUT_STREAM, Mode.STALL, Mode.MALFORMED})


class Dialect(Protocol):
    """How a provider writes a stream."""

    def opening(self) -> bytes:
        """Return the events before the first token."""
        ...

    def token(self, piece: str) -> bytes:
        """Return the event of one token."""
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
    behaviour: Behaviour,
) -> None:
    """Stream an answer; returns soon after the client left."""
    breaks = behaviour.mode in _BREAKING
    pieces = answer.pieces[: behaviour.after_chunks] if breaks else answer.pieces
    if behaviour.latency_ms and await exchange.client_left(0):
        return
    await exchange.start_events()
    completed = False
    try:
        if answer.hidden_tokens:
            charge.produced(answer.hidden_tokens)
        if await _send_pieces(exchange, dialect, pieces, charge, behaviour):
            if breaks:
                await _break_off(exchange, behaviour.mode)
                return
            completed = True
    finally:
        if charge.output_tokens:
            charge.ended(charge.output_tokens, completed=completed)
    if completed:
        await exchange.finish(dialect.closing(answer, charge))


async def _send_pieces(
    exchange: Exchange,
    dialect: Dialect,
    pieces: list[str],
    charge: Charge,
    behaviour: Behaviour,
) -> bool:
    """Send every piece; False when the client left before the last."""
    pace = _Pace(behaviour.tokens_per_second or 0, asyncio.get_running_loop().time())
    pending = dialect.opening()
    sent = 0
    while sent < len(pieces):
        allowed = min(pace.allowed(sent), len(pieces))
        if allowed > sent:
            charge.produced(allowed)
            await exchange.write(pending + b"".join(map(dialect.token, pieces[sent:allowed])))
            pending, sent = b"", allowed
        if sent < len(pieces) and await exchange.client_left(pace.wait_seconds(sent)):
            return False
    if pending:
        await exchange.write(pending)
    return True


async def _break_off(exchange: Exchange, mode: Mode) -> None:
    match mode:
        case Mode.STALL:
            await exchange.client_left(None)
        case Mode.MALFORMED:
            await exchange.finish(_BROKEN_EVENT)
        case _:
            await exchange.finish()
