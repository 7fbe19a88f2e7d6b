"""Cloudflare's paths: who is asked, whether it answers today, and with what.

Invariant: each answer carries a `cf-ray` of its own, and it is the request id on the bill.
"""

import os

from simulator.cloudflare import errors
from simulator.cloudflare.catalogue import search_models
from simulator.cloudflare.running import Run, run_model
from simulator.exchange import Exchange
from simulator.json_values import decode_object, is_object
from simulator.refusal import InvalidRequestError, RefusalError
from simulator.simulation import Simulation

PREFIX = "/client/v4/accounts/"
_RUN = "ai/run"
_SEARCH = "ai/models/search"
_GATEWAY = b"cf-aig-gateway-id"


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
    elif exchange.method == "POST" and rest.startswith(_RUN + "/"):
        model = rest.removeprefix(_RUN + "/")
        await run_model(exchange, simulation, Run(request_id, model, decode_object(exchange.body)))
    elif exchange.method == "POST" and rest == _RUN:
        await run_model(exchange, simulation, _read_run(exchange, request_id))
    else:
        raise errors.no_route()


def _read_run(exchange: Exchange, request_id: str) -> Run:
    """Read the newer form, which names the model in its body and goes through a gateway."""
    body = decode_object(exchange.body) or {}
    model, given = body.get("model"), body.get("input")
    if not isinstance(model, str) or not is_object(given):
        raise errors.failure("3003", "AiError: Incomplete request: missing model or input")
    if model.startswith("@cf/") and _GATEWAY not in exchange.headers:
        raise errors.failure("3003", "AiError: Incomplete request: missing cf-aig-gateway-id")
    return Run(request_id, model, given)


async def _refuse(exchange: Exchange, refusal: RefusalError) -> None:
    exchange.answer_headers.extend(refusal.headers)
    await exchange.answer(refusal.status, refusal.body, refusal.content_type)
