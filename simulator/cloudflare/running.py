"""One run of a model: held to its limits, struck by what is set, then answered.

Invariant: limits are judged when a call arrives, before any latency, so that a client that keeps to
them is never refused.
"""

import asyncio
from dataclasses import dataclass, replace

from simulator.behaviour import Mode, Plan
from simulator.cloudflare import errors
from simulator.cloudflare.chat import run_chat
from simulator.cloudflare.embeddings import run_embeddings
from simulator.cloudflare.models import needs_paid_plan
from simulator.conduct import Conduct
from simulator.exchange import Exchange
from simulator.json_values import JsonObject, is_object
from simulator.prices import Price
from simulator.refusal import InvalidRequestError, RefusalError
from simulator.simulation import Arrival, ModelCall, Simulation


@dataclass(frozen=True, slots=True)
class Run:
    """What is asked of which model; no body if it was no JSON object."""

    request_id: str
    model: str
    body: JsonObject | None


async def run_model(exchange: Exchange, simulation: Simulation, run: Run) -> None:
    """Answer one call of a model, and count a refusal."""
    arrival = simulation.arrive("cloudflare", run.model, run.body)
    try:
        await _run(exchange, simulation, run, arrival)
    except (InvalidRequestError, RefusalError):
        arrival.calls.refused += 1
        raise


async def _run(exchange: Exchange, simulation: Simulation, run: Run, arrival: Arrival) -> None:
    conduct = arrival.conduct
    if conduct.latency_seconds:
        await asyncio.sleep(conduct.latency_seconds)
    if conduct.mode is Mode.RESET:
        await exchange.reset()
        return
    if arrival.verdict and arrival.verdict.exceeded:
        raise errors.failure("3021")
    today = simulation.clock.today()
    price = simulation.prices.find("cloudflare", run.model, today)
    if price is None:
        raise errors.unknown_model(run.model)
    if conduct.mode is Mode.NO_CAPACITY and price.kind == "chat":
        conduct = await _queued(simulation, run, conduct)
    if refusal := errors.fault(conduct, price, today):
        raise refusal
    if price.is_retired(today):
        raise errors.retired(price, today)
    _check_plan(simulation, price)
    body = _read_body(exchange, run)
    await _answer(exchange, ModelCall(simulation, run.request_id, price, conduct), body)


async def _queued(simulation: Simulation, run: Run, conduct: Conduct) -> Conduct:
    """Wait for capacity, unless the call would rather be refused, and see whether there is some."""
    options = run.body.get("options") if run.body else None
    if is_object(options) and options.get("rejectIfBusy") is True:
        return conduct
    await asyncio.sleep(simulation.behaviour("cloudflare", run.model).queue_ms / 1000)
    has_some = simulation.behaviour("cloudflare", run.model).mode is not Mode.NO_CAPACITY
    return replace(conduct, mode=Mode.OK) if has_some else conduct


def _check_plan(simulation: Simulation, price: Price) -> None:
    """Refuse what the account's plan doesn't pay for."""
    if simulation.controls.of("cloudflare").behaviour.plan is Plan.PAID:
        return
    if needs_paid_plan(price.model):
        raise errors.failure("5035")
    if simulation.bill.is_free_used_up():
        raise errors.failure("3036")


async def _answer(exchange: Exchange, call: ModelCall, body: JsonObject) -> None:
    match call.price.kind:
        case "chat":
            await run_chat(exchange, call, body)
        case "embedding":
            await run_embeddings(exchange, call, body)
        case _:
            raise errors.unknown_model(call.model)


def _read_body(exchange: Exchange, run: Run) -> JsonObject:
    if exchange.query.get("queueRequest") == "true":
        raise errors.failure("5006", "AiError: Error: this model takes no queued requests")
    if run.body is None:
        raise errors.failure("3003", "AiError: Incomplete request: the body must be a JSON object")
    return run.body
