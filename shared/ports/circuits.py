"""Circuits as every replica knows them."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Protocol

from shared.domain.catalog import Provider
from shared.domain.circuits import Circuit, CircuitKey


class CircuitRepository(Protocol):
    """The one state that all replicas share; it survives their restarts."""

    async def not_closed(self) -> Sequence[Circuit]:
        """Return every circuit that is not closed; few, whatever the traffic.

        Raises:
            DatabaseUnavailableError: The state is unknown: keep the last one.
        """
        ...

    async def trip(self, circuit: Circuit) -> None:
        """Open a circuit, or keep one open for longer; failures of one time open it once."""
        ...

    async def take_probe(self, key: CircuitKey, now: datetime, lasts: timedelta) -> bool:
        """Be the one call that tries whether a half-open circuit's provider is back.

        Returns:
            False when another call tries already, or the circuit is not half-open.
        """
        ...

    async def drop_probe(self, key: CircuitKey) -> None:
        """Let another call try, because the one that would have was not made."""
        ...

    async def recover(self, key: CircuitKey, now: datetime) -> None:
        """Let calls return, after the one that tried has succeeded."""
        ...

    async def close(self, circuits: Sequence[Circuit]) -> None:
        """Forget circuits whose recovery is over, unless they have opened again."""
        ...

    async def reset(self, provider: Provider, by: str) -> Sequence[Circuit]:
        """Close all circuits of a provider, with an audit entry each; returns them.

        Jobs that wait for any provider come back within seconds.

        Args:
            provider: Whose.
            by: The person's key.
        """
        ...
