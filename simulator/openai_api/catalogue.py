"""OpenAI's model list; `shutdown_date` tells how long a model still lives."""

from simulator.exchange import Exchange
from simulator.json_values import JsonObject
from simulator.openai_api import errors
from simulator.prices import Price
from simulator.simulation import Simulation

_CREATED = 1_767_225_600


async def list_models(exchange: Exchange, simulation: Simulation) -> None:
    """List the models that are alive."""
    today = simulation.clock.today()
    offered = simulation.prices.offered("openai", today)
    data = [_entry(price) for price in offered if not price.is_retired(today)]
    await exchange.answer_json(200, {"object": "list", "data": data})


async def show_model(exchange: Exchange, simulation: Simulation, model: str) -> None:
    """Show one model that is alive."""
    today = simulation.clock.today()
    price = simulation.prices.find("openai", model, today)
    if price is None or price.is_retired(today):
        raise errors.unknown_model(model)
    await exchange.answer_json(200, _entry(price))


def _entry(price: Price) -> JsonObject:
    return {
        "id": price.model,
        "object": "model",
        "created": _CREATED,
        "owned_by": "openai",
        "shutdown_date": price.retired_on.isoformat() if price.retired_on else None,
    }
