"""Cloudflare's success envelope and the headers of a priced answer."""

from simulator.bill import Charge
from simulator.bill_row import decimal_string
from simulator.exchange import Exchange
from simulator.json_values import JsonObject
from simulator.sending import send_whole
from simulator.simulation import ModelCall


def succeed(result: object) -> JsonObject:
    """Return the envelope of a success."""
    return {"result": result, "success": True, "errors": [], "messages": []}


async def send_result(
    exchange: Exchange,
    call: ModelCall,
    charge: Charge,
    result: JsonObject,
) -> None:
    """Send a result that is on the bill already, with its neurons in a header."""
    neurons = decimal_string(charge.neurons) if charge.neurons is not None else "0"
    exchange.answer_headers.append((b"cf-ai-neurons", neurons.encode()))
    await send_whole(exchange, succeed(result), call.conduct)
