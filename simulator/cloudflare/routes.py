"""Cloudflare's paths: who is asked, whether it answers today, and with what.

Invariant: each answer carries a `cf-ray` of its own, and it is the request id on the bill.
"""

import asyncio
import os

from simulator.cloudflare import errors
from simulator.cloudflare.catalogue import search_models
from simulator.cloudflare.chat import run_chat
from simulator.cloudflare.embeddings import run_embeddings
from simulator.exchange import Exchange
from simulator.json_values import JsonObject, decode_object
from simulator.prices import Price
from simulator.refusal import InvalidRequestError, RefusalError
from simulator.simulation import ModelCall, Simulation

PREFIX = "/client/v4/accounts/"
_RUN = "ai/run/"
_SEARCH = "ai/models/search"


async def answer_cloudflare(exchange: Exchange, simulation: Simulation) -> None:
    """Answer a request below `PREFIX`."""
    request_id = f"{os.urandom(8).hex()}-SIM"
    exchange.answer_headers.append((b"cf-ray", request_id.encode()))
    try:
        await _route(exchange, simulation, request_id)
    except InvalidRequestError as error:
        await _refuse(exchange, errors.invalid(str(error)))
    except RefusalError as refusal:
        await _refuse(exchange, refusal)


async def _route(exchange: Exchange, simulation: Simulation, request_id: str) -> None:
    if not exchange.bearer:
        raise errors.unauthorized()
    _, _, rest = exchange.path.removeprefix(PREFIX).partition("/")
    if exchange.method == "GET" and rest == _SEARCH:
        await search_models(exchange, simulation)
    elif exchange.method == "POST" and rest.startswith(_RUN):
        await _run(exchange, simulation, rest.removeprefix(_RUN), request_id)
    else:
        raise errors.no_route()


async def _run(exchange: Exchange, simulation: Simulation, model: str, request_id: str) -> None:
    behaviour = simulation.controls.draw("cloudflare")
    if behaviour.latency_ms:
        await asyncio.sleep(behaviour.latency_ms / 1000)
    today = simulation.clock.today()
    price = simulation.prices.find("cloudflare", model, today)
    if price is None:
        raise errors.unknown_model(model)
    if refusal := errors.fault(behaviour.mode, price, today):
        raise refusal
    if price.is_retired(today):
        raise errors.retired(price, today)
    body = _read_body(exchange)
    await _answer(exchange, ModelCall(simulation, request_id, price, behaviour), body)


async def _answer(exchange: Exchange, call: ModelCall, body: JsonObject) -> None:
    price: Price = call.price
    match price.kind:
        case "chat":
            await run_chat(exchange, call, body)
        case "embedding":
            await run_embeddings(exchange, call, body)
        case _:
            raise errors.unknown_model(price.model)


def _read_body(exchange: Exchange) -> JsonObject:
    if exchange.query.get("queueRequest") == "true":
        raise errors.failure(400, 5006, "AiError: Error: this model takes no queued requests")
    body = decode_object(exchange.body)
    if body is None:
        raise errors.failure(
            400, 3003, "AiError: Incomplete request: the body must be a JSON object"
        )
    return body


async def _refuse(exchange: Exchange, refusal: RefusalError) -> None:
    exchange.answer_headers.extend(refusal.headers)
    await exchange.answer(refusal.status, refusal.body, refusal.content_type)
