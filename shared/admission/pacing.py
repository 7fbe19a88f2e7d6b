"""Turns within rate limits, for the calls of one process.

Calls that want the same model stand in one queue here; their turns come from the database, which
all replicas share, a second's worth at a time. What that costs depends on the limit, not on how
many wait.
"""

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from shared.domain.errors import DatabaseUnavailableError
from shared.domain.rate_limits import Pace, RateLimit, pace_of
from shared.domain.routes import Candidate
from shared.ports.rate_turns import RateTurns, TurnWish

_HORIZON = timedelta(seconds=1)
_LOOK_AGAIN_SECONDS = 0.4
_MOST_AT_ONCE = 128


@dataclass(frozen=True, slots=True)
class Turn:
    """A call whose turn has come; `credential` is the API token it is to use."""

    wish: TurnWish
    credential: int | None


@dataclass(slots=True, eq=False)
class _Waiter:
    turn: Turn
    came: asyncio.Future[bool]
    is_given: bool = False


class Pacer:
    """One per worker process.

    Args:
        turns: Shared with all other processes.
        limits: Of the routing table.
        credentials: How many API tokens each provider has, where limits hold for each of them.
    """

    def __init__(
        self, turns: RateTurns, limits: Sequence[RateLimit], credentials: Mapping[str, int]
    ) -> None:
        self._turns = turns
        self._limits = limits
        self._credentials = credentials
        self._lines: dict[tuple[str, str], _Line] = {}
        self._next_credential: dict[str, int] = {}
        self._unused: dict[str, tuple[Pace, int]] = {}

    async def turn(self, candidate: Candidate, tokens: int, patience: timedelta) -> Turn | None:
        """Wait for the call's turn, at most for `patience`; None when it has not come.

        Without any patience its turn must be now, and nobody be waiting for theirs.

        Raises:
            DatabaseUnavailableError: Nobody knows whose turn it is.
        """
        target = (candidate.provider, candidate.model)
        limits = [limit for limit in self._limits if limit.applies_to(*target)]
        if not limits:
            return Turn(_NOTHING, None)
        credential = self._credential_for(candidate.provider, limits)
        line = self._lines.setdefault(target, _Line(self._turns))
        turn = Turn(_wish(limits, tokens, credential), credential)
        return await (line.join(turn, patience) if patience else line.pass_through(turn))

    def used(self, candidate: Candidate, credential: int | None, held: int, used: int) -> None:
        """Note how many of the tokens that were taken a call did not use."""
        if used >= held:
            return
        for limit in self._limits:
            if limit.tokens_per_minute and limit.applies_to(candidate.provider, candidate.model):
                name = _name(limit, credential, "tokens")
                pace, unused = self._unused.get(name, (pace_of(limit.tokens_per_minute), 0))
                self._unused[name] = (pace, unused + held - used)

    async def refresh(self) -> None:
        """Return the tokens that were not used.

        Raises:
            DatabaseUnavailableError: They are returned next time.
        """
        for name, (pace, unused) in [*self._unused.items()]:
            await self._turns.give_back(name, pace, unused)
            now_unused = self._unused.pop(name)[1]
            if now_unused > unused:
                self._unused[name] = (pace, now_unused - unused)

    def stop_waiting(self) -> None:
        """Let nobody wait for a turn any longer."""
        for line in self._lines.values():
            line.give_up()

    def _credential_for(self, provider: str, limits: Sequence[RateLimit]) -> int | None:
        count = self._credentials.get(provider, 1)
        if count == 1 or not any(limit.is_per_token for limit in limits):
            return None
        chosen = self._next_credential.get(provider, 0)
        self._next_credential[provider] = (chosen + 1) % count
        return chosen


@dataclass(slots=True)
class _Line:
    turns: RateTurns
    waiters: deque[_Waiter] = field(default_factory=deque[_Waiter])
    pump: asyncio.Task[None] | None = None

    async def join(self, turn: Turn, patience: timedelta) -> Turn | None:
        waiter = _Waiter(turn, asyncio.get_running_loop().create_future())
        self.waiters.append(waiter)
        if self.pump is None or self.pump.done():
            self.pump = asyncio.create_task(self._run(), name="rate-turns")
        try:
            done, _ = await asyncio.wait([waiter.came], timeout=patience.total_seconds())
            if done or waiter.is_given:
                return turn if await waiter.came else None
            return None
        finally:
            if not waiter.is_given and waiter in self.waiters:
                self.waiters.remove(waiter)

    async def pass_through(self, turn: Turn) -> Turn | None:
        if self.waiters:
            return None
        (wait,) = await self.turns.take([turn.wish], timedelta(0))
        return None if wait is None else turn

    def give_up(self) -> None:
        while self.waiters:
            _resolve(self.waiters.popleft(), came=False)

    async def _run(self) -> None:
        while self.waiters:
            asking = [*self.waiters][:_MOST_AT_ONCE]
            try:
                waits = await self.turns.take([one.turn.wish for one in asking], _HORIZON)
            except DatabaseUnavailableError as error:
                self._fail(error)
                return
            self._hand_out(asking, waits)
            if self.waiters:
                await asyncio.sleep(_LOOK_AGAIN_SECONDS)

    def _hand_out(self, asking: Sequence[_Waiter], waits: Sequence[timedelta | None]) -> None:
        loop = asyncio.get_running_loop()
        for waiter, wait in zip(asking, waits, strict=True):
            if wait is None:
                continue
            waiter.is_given = True
            if waiter in self.waiters:
                self.waiters.remove(waiter)
            loop.call_later(wait.total_seconds(), _resolve, waiter)

    def _fail(self, error: DatabaseUnavailableError) -> None:
        while self.waiters:
            waiter = self.waiters.popleft()
            if not waiter.came.done():
                waiter.came.set_exception(error)


_NOTHING = TurnWish({}, {})


def _resolve(waiter: _Waiter, *, came: bool = True) -> None:
    if not waiter.came.done():
        waiter.came.set_result(came)


def _wish(limits: Sequence[RateLimit], tokens: int, credential: int | None) -> TurnWish:
    units: dict[str, int] = {}
    paces: dict[str, Pace] = {}
    for limit in limits:
        for kind, allowed, wanted in (
            ("requests", limit.requests_per_minute, 1),
            ("tokens", limit.tokens_per_minute, tokens),
        ):
            if allowed is not None:
                name = _name(limit, credential, kind)
                units[name], paces[name] = wanted, pace_of(allowed)
    return TurnWish(units, paces)


def _name(limit: RateLimit, credential: int | None, kind: str) -> str:
    token = f"#{credential}" if limit.is_per_token and credential is not None else ""
    return f"{limit.provider}/{limit.model or '*'}{token} {kind}"
