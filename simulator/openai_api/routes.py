"""OpenAI's paths: who is asked, whether it answers today, and with what.

Invariant: each answer carries an `x-request-id` of its own, and it is the request id on the bill.
"""

import asyncio
import os
from dataclasses import dataclass

from simulator.behaviour import Mode
from simulator.exchange import Exchange, Headers
from simulator.json_values import JsonObject, decode_object
from simulator.openai_api import errors
from simulator.openai_api.catalogue import list_models, show_model
from simulator.openai_api.chat import run_chat
from simulator.openai_api.embeddings import run_embeddings
from simulator.openai_api.rate_headers import UNLIMITED, rate_headers
from simulator.prices import Price
from simulator.refusal import InvalidRequestError, RefusalError
from simulator.simulation import Arrival, ModelCall, Simulation

PREFIX = "/v1/"
_MODELS = "/v1/models"
_KIND_BY_PATH = {"/v1/chat/completions": "chat", "/v1/embeddings": "embedding"}
_FIXED_HEADERS: Headers = [
    (b"openai-processing-ms", b"5"),
    (b"openai-version", b"2020-10-01"),
    (b"openai-organization", b"simulator"),
]


@dataclass(frozen=True, slots=True)
class _Asked:
    """What is asked of which model; no model if none was named."""

    request_id: str
    model: str
    body: JsonObject


async def answer_openai(exchange: Exchange, simulation: Simulation) -> None:
    """Answer a request below `PREFIX`."""
    request_id = "req_" + os.urandom(16).hex()
    exchange.answer_headers.extend([(b"x-request-id", request_id.encode()), *_FIXED_HEADERS])
    try:
        await _route(exchange, simulation, request_id)
    except InvalidRequestError as error:
        await _refuse(exchange, errors.invalid(error))
    except RefusalError as refusal:
        await _refuse(exchange, refusal)


async def _route(exchange: Exchange, simulation: Simulation, request_id: str) -> None:
    if not exchange.bearer:
        raise errors.unauthorized()
    match exchange.method, exchange.path:
        case "POST", path if path in _KIND_BY_PATH:
            await _run(exchange, simulation, request_id)
        case "GET", path if path == _MODELS:
            await list_models(exchange, simulation)
        case "GET", path if path.startswith(_MODELS + "/"):
            await show_model(exchange, simulation, path.removeprefix(_MODELS + "/"))
        case method, path:
            raise errors.no_route(method, path)


async def _run(exchange: Exchange, simulation: Simulation, request_id: str) -> None:
    body = decode_object(exchange.body)
    model = body.get("model") if body is not None else None
    name = model if isinstance(model, str) else ""
    arrival = simulation.arrive("openai", name, body)
    exchange.answer_headers.extend(rate_headers(arrival.verdict) if arrival.verdict else UNLIMITED)
    try:
        await _answer_arrived(exchange, simulation, _Asked(request_id, name, body or {}), arrival)
    except (InvalidRequestError, RefusalError):
        arrival.calls.refused += 1
        raise


async def _answer_arrived(
    exchange: Exchange, simulation: Simulation, asked: _Asked, arrival: Arrival
) -> None:
    conduct = arrival.conduct
    if conduct.latency_seconds:
        await asyncio.sleep(conduct.latency_seconds)
    if conduct.mode is Mode.RESET:
        await exchange.reset()
        return
    if arrival.verdict and (exceeded := arrival.verdict.exceeded):
        raise errors.over_rate(asked.model, exceeded)
    if not asked.model:
        raise InvalidRequestError("the body must be a JSON object with a model", "model")
    if refusal := errors.fault(conduct, asked.model):
        raise refusal
    price = _find(simulation, asked.model, _KIND_BY_PATH[exchange.path])
    await _answer(exchange, ModelCall(simulation, asked.request_id, price, conduct), asked.body)


def _find(simulation: Simulation, model: str, kind: str) -> Price:
    today = simulation.clock.today()
    price = simulation.prices.find("openai", model, today)
    if price is None or price.is_retired(today) or price.kind != kind:
        raise errors.unknown_model(model)
    return price


async def _answer(exchange: Exchange, call: ModelCall, body: JsonObject) -> None:
    if call.price.kind == "chat":
        await run_chat(exchange, call, body)
    else:
        await run_embeddings(exchange, call, body)


async def _refuse(exchange: Exchange, refusal: RefusalError) -> None:
    exchange.answer_headers.extend(refusal.headers)
    await exchange.answer(refusal.status, refusal.body, refusal.content_type)
