"""What every provider endpoint shares: prices, faults, limits, the bill and the clocks.

Invariant: one of each per running simulator, made in `main` and passed on.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass

from simulator.asked_tokens import asked_tokens
from simulator.behaviour import Behaviour, Provider
from simulator.bill import Bill, Charge
from simulator.clock import Clock
from simulator.conduct import Conduct
from simulator.control import Controls
from simulator.json_values import JsonObject
from simulator.prices import Price, PriceBook
from simulator.rate_limit import RateLimiter, Verdict
from simulator.request_log import Calls, RequestLog


@dataclass(frozen=True, slots=True)
class Arrival:
    """A call at the door: its place in the log, how it is treated, and what its limits say."""

    calls: Calls
    conduct: Conduct
    verdict: Verdict | None


@dataclass(frozen=True, slots=True)
class Simulation:
    """The parts of a running simulator.

    Attributes:
        clock: The time that can be set.
        now: The machine's time in seconds since 1970, which never falls.
    """

    prices: PriceBook
    controls: Controls
    bill: Bill
    clock: Clock
    limiter: RateLimiter
    requests: RequestLog
    now: Callable[[], float]

    def arrive(self, provider: Provider, model: str, body: JsonObject | None) -> Arrival:
        """Count a call, draw how it is treated, and hold it to its limits."""
        now = self.now()
        calls = self.requests.arrived(provider, model, now)
        courses = self.controls.of(provider)
        course = courses.of(model)
        limit = course.behaviour.limit
        if limit is None:
            return Arrival(calls, course.next(), None)
        tokens = asked_tokens(body) if limit.tokens is not None else 0
        verdict = self.limiter.take(courses.pool(model), limit, tokens, now)
        return Arrival(calls, course.next(), verdict)

    def behaviour(self, provider: Provider, model: str) -> Behaviour:
        """Return how a model is set to behave now."""
        return self.controls.of(provider).of(model).behaviour

    def restore(self) -> JsonObject:
        """Return every control to its default, with full pools; return the controls."""
        self.limiter.forget()
        return self.controls.restore()

    def forget_requests(self) -> JsonObject:
        """Forget which calls arrived; return the empty log."""
        self.requests.forget()
        return self.requests.to_json(None, None, self.now())


@dataclass(frozen=True, slots=True)
class ModelCall:
    """One call of a model: who answers, at what price, and how well today."""

    simulation: Simulation
    request_id: str
    price: Price
    conduct: Conduct

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
