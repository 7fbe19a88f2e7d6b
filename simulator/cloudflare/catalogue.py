"""Cloudflare's model search, by which clients see whether a model still lives."""

import zlib
from datetime import date

from simulator.cloudflare.envelope import succeed
from simulator.exchange import Exchange
from simulator.json_values import JsonObject
from simulator.prices import USD_PER_NEURON, Price
from simulator.simulation import Simulation

_TASK_BY_KIND = {
    "chat": "Text Generation",
    "embedding": "Text Embeddings",
    "rerank": "Text Classification",
}


async def search_models(exchange: Exchange, simulation: Simulation) -> None:
    """List the models, filtered by `task`, `search` and `include_deprecated`."""
    today = simulation.clock.today()
    query = exchange.query
    found = [
        _entry(price)
        for price in simulation.prices.offered("cloudflare", today)
        if _is_wanted(price, query, today)
    ]
    count = len(found)
    pages = {"count": count, "page": 1, "per_page": count, "total_count": count}
    await exchange.answer_json(200, succeed(found) | {"result_info": pages})


def _is_wanted(price: Price, query: dict[str, str], today: date) -> bool:
    if price.is_retired(today) and query.get("include_deprecated") != "true":
        return False
    task = query.get("task", _TASK_BY_KIND[price.kind])
    return task == _TASK_BY_KIND[price.kind] and query.get("search", "") in price.model


def _entry(price: Price) -> JsonObject:
    properties: list[JsonObject] = [{"property_id": "price", "value": _prices(price)}]
    if price.context_tokens is not None:
        properties.append({"property_id": "context_window", "value": str(price.context_tokens)})
    if price.retired_on is not None:
        day = price.retired_on.isoformat()
        properties.append({"property_id": "planned_deprecation_date", "value": day})
    return {
        "id": f"00000000-0000-4000-8000-{zlib.crc32(price.model.encode()):012x}",
        "source": 1,
        "name": price.model,
        "task": {"name": _TASK_BY_KIND[price.kind]},
        "tags": [],
        "properties": properties,
    }


def _prices(price: Price) -> list[JsonObject]:
    rates = {"input": price.input_rate, "output": price.output_rate}
    return [
        {"unit": f"per M {name} tokens", "price": float(rate * USD_PER_NEURON), "currency": "USD"}
        for name, rate in rates.items()
        if rate
    ]
