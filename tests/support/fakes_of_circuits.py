"""What replicas share about providers, in memory."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from shared.domain.catalog import Provider
from shared.domain.circuits import Circuit, CircuitKey, CircuitState
from shared.domain.errors import DatabaseUnavailableError
from shared.domain.rate_limits import Pace, TurnLine
from shared.ports.clock import Clock
from shared.ports.rate_turns import TurnWish

_LONG_AGO = timedelta(days=9999)


@dataclass
class MemoryCircuits:
    """Implements `CircuitRepository`."""

    circuits: dict[CircuitKey, Circuit] = field(default_factory=dict[CircuitKey, Circuit])
    is_away: bool = False
    trips: int = 0

    async def not_closed(self) -> Sequence[Circuit]:
        self._answer()
        return [*self.circuits.values()]

    async def trip(self, circuit: Circuit) -> None:
        self._answer()
        self.trips += 1
        before = self.circuits.get(circuit.key)
        is_open = (
            before is not None
            and before.state is CircuitState.OPEN
            and before.open_until > circuit.opened_at
        )
        if before is None:
            self.circuits[circuit.key] = circuit
            return
        self.circuits[circuit.key] = replace(
            circuit,
            opened_at=before.opened_at if is_open else circuit.opened_at,
            openings=before.openings if is_open else max(before.openings + 1, circuit.openings),
            open_until=max(before.open_until, circuit.open_until),
        )

    async def take_probe(self, key: CircuitKey, now: datetime, lasts: timedelta) -> bool:
        self._answer()
        circuit = self.circuits.get(key)
        if circuit is None or circuit.open_until > now or circuit.recovers_from is not None:
            return False
        if circuit.probe_until is not None and circuit.probe_until > now:
            return False
        self.circuits[key] = replace(circuit, state=CircuitState.HALF_OPEN, probe_until=now + lasts)
        return True

    async def drop_probe(self, key: CircuitKey) -> None:
        self._answer()
        circuit = self.circuits.get(key)
        if circuit is not None and circuit.state is CircuitState.HALF_OPEN:
            self.circuits[key] = replace(circuit, state=CircuitState.OPEN, probe_until=None)

    async def recover(self, key: CircuitKey, now: datetime) -> None:
        self._answer()
        circuit = self.circuits.get(key)
        if circuit is not None and circuit.recovers_from is None:
            self.circuits[key] = replace(
                circuit, state=CircuitState.RECOVERING, recovers_from=now, probe_until=None
            )

    async def close(self, circuits: Sequence[Circuit]) -> None:
        self._answer()
        for circuit in circuits:
            stored = self.circuits.get(circuit.key)
            if stored is None or stored.state is CircuitState.HALF_OPEN:
                continue
            since = stored.recovers_from or stored.open_until
            if since <= (circuit.recovers_from or circuit.open_until):
                del self.circuits[circuit.key]

    async def reset(self, provider: Provider, by: str) -> Sequence[Circuit]:
        del by
        self._answer()
        found = [c for key, c in self.circuits.items() if key.provider == provider]
        for circuit in found:
            del self.circuits[circuit.key]
        return found

    def _answer(self) -> None:
        if self.is_away:
            raise DatabaseUnavailableError("the fake is away")


@dataclass
class MemoryRateTurns:
    """Implements `RateTurns`."""

    clock: Clock
    next_turns: dict[str, datetime] = field(default_factory=dict[str, datetime])
    is_away: bool = False
    asked: list[int] = field(default_factory=list[int])

    async def take(
        self, wishes: Sequence[TurnWish], within: timedelta
    ) -> Sequence[timedelta | None]:
        if self.is_away:
            raise DatabaseUnavailableError("the fake is away")
        self.asked.append(len(wishes))
        now = self.clock.now()
        lines = {
            limit: TurnLine(pace, self.next_turns.get(limit, now - _LONG_AGO), now + within)
            for wish in wishes
            for limit, pace in wish.paces.items()
        }
        waits = [self._wait(lines, wish, now) for wish in wishes]
        self.next_turns |= {limit: line.next_turn for limit, line in lines.items()}
        return waits

    async def give_back(self, limit: str, pace: Pace, units: int) -> None:
        if self.is_away:
            raise DatabaseUnavailableError("the fake is away")
        if limit in self.next_turns:
            self.next_turns[limit] -= pace.interval * units

    def _wait(self, lines: dict[str, TurnLine], wish: TurnWish, now: datetime) -> timedelta | None:
        wanted = [lines[limit] for limit in wish.units]
        if any(not line.has_turn(now) for line in wanted):
            for line in wanted:
                line.is_exhausted = True
            return None
        turns = [lines[limit].take(units, now) for limit, units in wish.units.items()]
        return max(turns, default=now) - now


@dataclass
class CountingHint:
    """Implements `ControlHint`."""

    sent: int = 0

    async def send(self) -> None:
        self.sent += 1


@dataclass
class SeenCircuits:
    """Implements `CircuitObserver`."""

    moves: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    not_closed: Sequence[Circuit] = ()
    unknown: list[str] = field(default_factory=list[str])

    def moved(self, key: CircuitKey, state: CircuitState) -> None:
        self.moves.append((str(key), state.value))

    def known(self, circuits: Sequence[Circuit]) -> None:
        self.not_closed = circuits

    def unknown_error(self, provider: Provider) -> None:
        self.unknown.append(provider)
