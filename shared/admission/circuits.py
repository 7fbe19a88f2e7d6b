"""Circuits of all providers' models, shared by all replicas.

A failure that opens one is written down and hinted to every worker before the job goes on; what
others found out is read at every hint and at least once a second. Invariant: a database that is
away changes nothing about calls: the state known last stays, and what this worker sees counts for
itself.
"""

import asyncio
from collections.abc import Awaitable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Protocol

import structlog

from shared.admission.circuit_board import CircuitBoard
from shared.admission.streaks import Streaks
from shared.domain.catalog import Provider
from shared.domain.circuits import (
    PROBE_LASTS,
    Circuit,
    CircuitClass,
    CircuitKey,
    CircuitState,
    Trip,
    next_minute,
    open_until,
)
from shared.domain.errors import DatabaseUnavailableError, ProviderFailure
from shared.domain.routes import Candidate
from shared.ports.admission import Admitted, HeldUp
from shared.ports.circuits import CircuitRepository
from shared.ports.clock import Clock
from shared.ports.messaging import ControlHint

_log = structlog.stdlib.get_logger(__name__)
_LOOK_AGAIN = timedelta(milliseconds=500)


class CircuitObserver(Protocol):
    """Sees what circuits do."""

    def moved(self, key: CircuitKey, state: CircuitState) -> None:
        """Take note of a move that this process made."""
        ...

    def known(self, circuits: Sequence[Circuit]) -> None:
        """Take note of all circuits that are not closed."""
        ...

    def unknown_error(self, provider: Provider) -> None:
        """Take note of an error that no rule knows."""
        ...


class Circuits:
    """One per worker process.

    Args:
        repository: The truth.
        hint: Tells the other workers that it has changed.
        clock: Now.
        observer: Is told what happens.
    """

    def __init__(
        self,
        repository: CircuitRepository,
        hint: ControlHint,
        clock: Clock,
        observer: CircuitObserver,
    ) -> None:
        self._repository = repository
        self._hint = hint
        self._clock = clock
        self._observer = observer
        self._board = CircuitBoard()
        self._streaks = Streaks()
        self._order = asyncio.Lock()
        self._changed = asyncio.Event()

    async def refresh(self) -> None:
        """Read the truth, and forget circuits whose recovery is over.

        Raises:
            DatabaseUnavailableError: The state known last stays.
        """
        async with self._order:
            known = {circuit.key for circuit in self._board.circuits}
            if self._board.replace(await self._repository.not_closed()):
                self._observer.known(self._board.circuits)
                self._tell_waiters()
            for circuit in self._board.circuits:
                if circuit.key not in known:
                    self._streaks.forget(circuit.key.provider, circuit.key.model)
        now = self._clock.now()
        over = [c for c in self._board.circuits if c.state_at(now) is CircuitState.CLOSED]
        if over:
            await self._repository.close(over)
            for circuit in over:
                self._tell(circuit.key, CircuitState.CLOSED)

    def held_up(self, candidate: Candidate) -> HeldUp | None:
        """Tell why a call must wait; while calls return, each one is counted."""
        target = (candidate.provider, candidate.model, self._clock.now())
        match self._board.passage(*target):
            case HeldUp() as held_up:
                return held_up
            case probes:
                return None if probes else self._board.share(*target)

    async def passage(self, candidate: Candidate) -> tuple[CircuitKey, ...] | HeldUp:
        """Return the circuits for which a call that is made now tries, or why it must wait.

        Raises:
            DatabaseUnavailableError: Nobody knows who may try.
        """
        now = self._clock.now()
        passage = self._board.passage(candidate.provider, candidate.model, now)
        if isinstance(passage, HeldUp):
            return passage
        for number, key in enumerate(passage):
            is_ours = await self._repository.take_probe(key, now, PROBE_LASTS)
            self._board.tried(key, until=now + (PROBE_LASTS if is_ours else _LOOK_AGAIN))
            if not is_ours:
                await self._drop(passage[:number])
                return HeldUp(now + _LOOK_AGAIN, "trying", f"{key.provider} is being tried")
        return tuple(passage)

    def is_retired(self, candidate: Candidate) -> bool:
        """Tell whether the model is known to be gone; when it may be back, one call tries."""
        return self._board.is_retired(candidate.provider, candidate.model, self._clock.now())

    async def wait(self, until: datetime) -> None:
        """Return at `until`, or when a circuit has changed."""
        seconds = (until - self._clock.now()).total_seconds()
        with suppress(TimeoutError):
            async with asyncio.timeout(max(seconds, 0)):
                await self._changed.wait()

    async def answered(self, call: Admitted) -> None:
        """Note that the provider answered, whatever it said about the request."""
        self._streaks.answered(call.candidate.provider, call.candidate.model)
        if call.probes:
            await self._recover(call.probes)

    async def failed(self, call: Admitted, failure: ProviderFailure) -> None:
        """Open the circuit that the failure concerns, if it is time to."""
        if not failure.is_known:
            self._observer.unknown_error(call.candidate.provider)
        trip = failure.trip
        if trip is None:
            await self.answered(call)
            return
        candidate = call.candidate
        key = CircuitKey.of(candidate.provider, candidate.model, trip)
        if trip.circuit is not CircuitClass.FAILING:  # the provider is there
            await self._recover([probe for probe in call.probes if probe != key])
        if not self._is_old_news(key, call) and self._is_enough(key, call, trip):
            await self._open(key, failure, trip)

    async def not_called(self, call: Admitted) -> None:
        """Let another call try."""
        await self._drop(call.probes)

    def stop_waiting(self) -> None:
        """Let everybody who waits look again."""
        self._tell_waiters()

    async def _drop(self, probes: Sequence[CircuitKey]) -> None:
        for key in probes:
            await self._shared(self._repository.drop_probe(key))
            self._board.tried(key, until=None)

    def _is_old_news(self, key: CircuitKey, call: Admitted) -> bool:
        """Tell whether the call began before calls were let through again."""
        circuit = self._board.get(key)
        if circuit is None or key in call.probes:
            return False
        return call.began < (circuit.recovers_from or circuit.opened_at)

    def _is_enough(self, key: CircuitKey, call: Admitted, trip: Trip) -> bool:
        """Tell whether a failure opens its circuit: that of a call that tried always does."""
        if key in call.probes or not trip.takes_many:
            return True
        return self._streaks.failed(call.candidate.provider, call.candidate.model)

    async def _recover(self, keys: Sequence[CircuitKey]) -> None:
        for key in keys:
            await self._shared(self._repository.recover(key, self._clock.now()))
            self._board.recovers(key, self._clock.now())
            self._tell(key, CircuitState.RECOVERING)
        if keys:
            await self._told_others()

    async def _open(self, key: CircuitKey, failure: ProviderFailure, trip: Trip) -> None:
        now = self._clock.now()
        retry_after = failure.retry_after
        if trip.until_next_minute and retry_after is None:
            retry_after = next_minute(now)
        before = self._board.get(key)
        openings = 1
        if before is not None and before.state_at(now) is not CircuitState.CLOSED:
            openings = before.openings + 1
        circuit = Circuit(
            key=key,
            state=CircuitState.OPEN,
            opened_at=now,
            open_until=open_until(key.circuit, openings, retry_after, now),
            openings=openings,
            code=failure.code,
            message=failure.message,
        )
        async with self._order:
            self._board.put(circuit if before is None else before.tripped(circuit))
            await self._shared(self._repository.trip(circuit))
        if before is None or before.state_at(now) is not CircuitState.OPEN:
            self._tell(key, CircuitState.OPEN)
            await self._told_others()

    async def _shared(self, write: Awaitable[None]) -> None:
        try:
            await write
        except DatabaseUnavailableError as error:
            _log.warning("circuit.not_shared", error=str(error))

    async def _told_others(self) -> None:
        self._tell_waiters()
        await self._hint.send()

    def _tell(self, key: CircuitKey, state: CircuitState) -> None:
        _log.warning(
            "circuit.moved",
            provider=key.provider,
            model=key.model,
            circuit=key.circuit.value,
            state=state.value,
        )
        self._observer.moved(key, state)

    def _tell_waiters(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
