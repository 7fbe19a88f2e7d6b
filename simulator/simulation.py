"""What every provider endpoint shares: prices, faults, the bill and the clock.

Invariant: one of each per running simulator, made in `main` and passed on.
"""

import os
from dataclasses import dataclass

from simulator.bill import Bill, Charge
from simulator.clock import Clock
from simulator.control import Behaviour, Controls
from simulator.prices import Price, PriceBook


@dataclass(frozen=True, slots=True)
class Simulation:
    """The parts of a running simulator."""

    prices: PriceBook
    controls: Controls
    bill: Bill
    clock: Clock


@dataclass(frozen=True, slots=True)
class ModelCall:
    """One call of a model: who answers, at what price, and how well today."""

    simulation: Simulation
    request_id: str
    price: Price
    behaviour: Behaviour

    @property
    def model(self) -> str:
        """The model's id."""
        return self.price.model

    @property
    def created(self) -> int:
        """The moment of the call, in seconds since 1970."""
        return int(self.simulation.clock.now().timestamp())

    def charge(self, input_tokens: int) -> Charge:
        """Return the charge of this call; nothing is billed before tokens are produced."""
        return self.simulation.bill.charge(
            call_id="call_" + os.urandom(12).hex(),
            request_id=self.request_id,
            price=self.price,
            input_tokens=input_tokens,
        )
