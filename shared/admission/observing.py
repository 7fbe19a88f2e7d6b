"""What circuits do, as metrics."""

from collections.abc import Sequence

from shared.domain.catalog import Provider
from shared.domain.circuits import Circuit, CircuitKey, CircuitState
from shared.observability.metrics import Metrics


class CircuitMetrics:
    """Records the moves that this process makes, and the circuits that it knows not to be closed.

    Args:
        metrics: Of the process.
    """

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._shown: set[CircuitKey] = set()

    def moved(self, key: CircuitKey, state: CircuitState) -> None:
        """Count a move."""
        labels = (key.provider, key.circuit.value, state.value)
        self._metrics.count("sluiceway_circuit_moves_total", *labels)

    def known(self, circuits: Sequence[Circuit]) -> None:
        """Show which circuits are not closed."""
        keys = {circuit.key for circuit in circuits}
        for key in keys | self._shown:
            labels = (key.provider, key.model, key.circuit.value)
            self._metrics.show("sluiceway_circuit_open", int(key in keys), *labels)
        self._shown |= keys

    def unknown_error(self, provider: Provider) -> None:
        """Count an error that no rule knows."""
        self._metrics.count("sluiceway_unknown_provider_errors_total", provider)
