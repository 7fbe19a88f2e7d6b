"""A server with OpenAI's API, a provider by configuration alone, from the job to the ledger."""

from collections.abc import AsyncGenerator
from decimal import Decimal
from pathlib import Path

import orjson
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.domain.budgets import Budget, BudgetScope, Window
from shared.domain.catalog import OPENAI
from shared.domain.pricing import PriceBook
from shared.domain.routing import check_prices
from shared.persistence.repositories.budgets import PostgresBudgets
from shared.providers.price_files import load_price_book
from shared.providers.routing_file import load_routing_table
from shared.system import SystemClock
from tests.support.chat_jobs import new_chat_job, rows
from tests.support.chat_pipeline import Pipeline, Routing, pipeline
from tests.support.local_providers import LOCAL, SimulatorClient, providers_at
from tests.support.proxy import Proxy
from tests.support.replay_server import replay_server, stream_reply

pytestmark = pytest.mark.integration
_ROOT = Path(__file__).parents[4]
_SERVER = '[providers.local]\nbase_url = "http://127.0.0.1:8000/v1"\n'
_MISTRAL = '[candidates.mistral]\nprovider = "local"\nmodel = "mistral"\n'
_HEADER = (
    "provider,model,kind,input_usd_per_million,output_usd_per_million,neurons_per_million_input,"
    "neurons_per_million_output,context_tokens,dimensions,effective_from,retired_on,source,as_of\n"
)
_CALL = {
    "index": 0,
    "id": "call_1",
    "function": {"name": "weather", "arguments": '{"city":"Rome"}'},
}
_CHUNK = {
    "id": "c",
    "model": "mistral",
    "choices": [{"index": 0, "delta": {"tool_calls": [_CALL]}, "finish_reason": "tool_calls"}],
    "usage": {"prompt_tokens": 1_000, "completion_tokens": 10},
}


def _routing(folder: Path, price: str) -> Routing:
    """Return what an operator would write: the server first, then OpenAI."""
    shipped = (_ROOT / "deploy/routing.toml").read_text("utf-8")
    written = shipped.replace("[candidates.luna]", f"{_SERVER}{_MISTRAL}[candidates.luna]")
    file = folder / "routing.toml"
    file.write_text(written.replace('["llama-8b", "luna"]', '["mistral", "luna"]'), "utf-8")
    prices = folder / "prices"
    prices.mkdir()
    row = f"local,mistral,chat,{price},{price},,,32000,,,,our own machine,2026-11-01\n"
    (prices / "local.csv").write_text(_HEADER + row, "utf-8")
    shipped_rows = load_price_book(_ROOT / "prices").rows
    book = PriceBook([*shipped_rows, *load_price_book(prices).rows])
    table = load_routing_table(file)
    check_prices(table, book, SystemClock().now())
    return Routing(book, table)


@pytest.fixture(params=["1"])
async def local(
    request: pytest.FixtureRequest,
    engine: AsyncEngine,
    proxy: Proxy,
    simulator: SimulatorClient,
    tmp_path: Path,
) -> AsyncGenerator[Pipeline]:
    """Give the pipeline with a server whose tokens cost as the parameter says."""
    async with replay_server() as server:
        event = b"data: " + orjson.dumps(_CHUNK) + b"\n\ndata: [DONE]\n\n"
        server.replies = [stream_reply(event)]
        providers, at_simulator = providers_at(server.url), providers_at(simulator.url)
        models = {**at_simulator.chat, LOCAL: providers.chat[LOCAL]}
        routing = _routing(tmp_path, request.param)
        async with pipeline(engine, proxy.url, simulator, models, routing) as running:
            yield running
        await providers.aclose()
        await at_simulator.aclose()


async def test_its_answers_are_booked_at_its_prices(local: Pipeline) -> None:
    (view,) = await local.ended(await local.submit(new_chat_job()))

    assert (view.provider, view.model, view.is_fallback) == (LOCAL, "mistral", False)
    assert view.cost_usd == Decimal("0.00101")
    entries = await rows(local.engine, "SELECT provider, model, cost_usd FROM ledger_entries")
    assert entries == [(LOCAL, "mistral", view.cost_usd)]


async def test_the_tools_that_it_wants_called_are_the_jobs_result(local: Pipeline) -> None:
    (view,) = await local.ended(await local.submit(new_chat_job()))

    assert view.result_json is not None
    function = {"name": "weather", "arguments": '{"city":"Rome"}'}
    assert orjson.loads(view.result_json) == {
        "message": {
            "role": "assistant",
            "content": "",
            "tool_calls": [{"id": "call_1", "type": "function", "function": function}],
        },
        "finish_reason": "tool_calls",
    }
    [(frame,)] = await rows(local.engine, "SELECT frame -> 'result' FROM deliveries")
    assert frame == orjson.loads(view.result_json)


async def test_its_budget_leads_to_the_next_candidate(local: Pipeline) -> None:
    scope = BudgetScope.parse("provider:local")
    budgets = PostgresBudgets(local.engine, SystemClock())
    await budgets.put(Budget(scope, Window.DAY, Decimal(0)), "test")

    (view,) = await local.ended(await local.submit(new_chat_job()))

    assert (view.provider, view.is_fallback) == (OPENAI, True)


@pytest.mark.parametrize("local", ["0"], indirect=True)
async def test_it_may_be_free(local: Pipeline) -> None:
    (view,) = await local.ended(await local.submit(new_chat_job()))

    assert view.provider == LOCAL
    assert view.cost_usd == 0
    assert view.usage.input_tokens == 1_000
