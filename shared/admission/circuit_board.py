"""The circuits that are not closed, in memory: what they let through costs no round trip."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from shared.domain.catalog import Provider
from shared.domain.circuits import (
    EVERY_MODEL,
    Circuit,
    CircuitClass,
    CircuitKey,
    CircuitState,
)
from shared.ports.admission import HeldUp

_LOOK_AGAIN = timedelta(milliseconds=500)
_FIRST_CREDIT = 0.5


@dataclass(slots=True)
class CircuitBoard:
    """Every replica's copy of the truth."""

    _circuits: dict[CircuitKey, Circuit] = field(default_factory=dict[CircuitKey, Circuit])
    _by_target: Mapping[tuple[Provider, str], Sequence[Circuit]] = field(
        default_factory=dict[tuple[Provider, str], Sequence[Circuit]]
    )
    _credits: dict[CircuitKey, float] = field(default_factory=dict[CircuitKey, float])

    @property
    def circuits(self) -> Sequence[Circuit]:
        """Return every circuit that is not closed."""
        return [*self._circuits.values()]

    def get(self, key: CircuitKey) -> Circuit | None:
        """Return a circuit unless it is closed."""
        return self._circuits.get(key)

    def replace(self, circuits: Iterable[Circuit]) -> bool:
        """Take the truth as it is now; tell whether anything has changed."""
        found = {circuit.key: circuit for circuit in circuits}
        if found == self._circuits:
            return False
        self._circuits = found
        self._index()
        return True

    def put(self, circuit: Circuit) -> None:
        """Take one circuit's state."""
        self._circuits[circuit.key] = circuit
        self._index()

    def tried(self, key: CircuitKey, *, until: datetime | None) -> None:
        """Note until when somebody tries whether a circuit's provider is back."""
        if (circuit := self._circuits.get(key)) is not None:
            self.put(replace(circuit, probe_until=until))

    def recovers(self, key: CircuitKey, since: datetime) -> None:
        """Note that calls return."""
        if (circuit := self._circuits.get(key)) is not None:
            self.put(replace(circuit, recovers_from=since, probe_until=None))

    def is_retired(self, provider: Provider, model: str, now: datetime) -> bool:
        """Tell whether a model is known to be gone; whether it is back, one call may find out."""
        circuit = self._circuits.get(CircuitKey(provider, model, CircuitClass.RETIRED))
        if circuit is None:
            return False
        return circuit.state_at(now) is CircuitState.OPEN or _is_being_tried(circuit, now)

    def passage(
        self, provider: Provider, model: str, now: datetime
    ) -> Sequence[CircuitKey] | HeldUp:
        """Return the half-open circuits for which a call is to try, or why it must wait."""
        if not self._by_target:
            return ()
        circuits = self._concerning(provider, model)
        shut = [c for c in circuits if c.state_at(now) is CircuitState.OPEN]
        if shut:
            longest = max(shut, key=lambda circuit: circuit.open_until)
            return _held_up(longest, longest.open_until)
        half_open = [c for c in circuits if c.state_at(now) is CircuitState.HALF_OPEN]
        tried = next((c for c in half_open if _is_being_tried(c, now)), None)
        if tried is not None:
            return _held_up(tried, now + _LOOK_AGAIN)
        return [circuit.key for circuit in half_open]

    def share(self, provider: Provider, model: str, now: datetime) -> HeldUp | None:
        """Count a call while calls return: the share is kept by counting, not by chance."""
        for circuit in self._concerning(provider, model) if self._by_target else ():
            credit = self._credits.get(circuit.key, _FIRST_CREDIT) + circuit.share_at(now)
            self._credits[circuit.key] = credit - 1 if credit >= 1 else credit
            if credit < 1:
                return _held_up(circuit, now + _LOOK_AGAIN)
        return None

    def _concerning(self, provider: Provider, model: str) -> Sequence[Circuit]:
        return [
            *self._by_target.get((provider, model), ()),
            *self._by_target.get((provider, EVERY_MODEL), ()),
        ]

    def _index(self) -> None:
        by_target: defaultdict[tuple[Provider, str], list[Circuit]] = defaultdict(list)
        for key, circuit in self._circuits.items():
            by_target[key.provider, key.model].append(circuit)
        self._by_target = dict(by_target)
        self._credits = {
            key: credit for key, credit in self._credits.items() if key in self._circuits
        }


def _is_being_tried(circuit: Circuit, now: datetime) -> bool:
    return circuit.probe_until is not None and circuit.probe_until > now


def _held_up(circuit: Circuit, until: datetime) -> HeldUp:
    return HeldUp(until, circuit.code, f"{circuit.key.provider} is let alone: {circuit.message}")
