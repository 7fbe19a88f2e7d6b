"""What the price book says, as jobs see it: free neurons, and models without a price."""

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.domain.jobs import JobStatus
from shared.domain.pricing import NEURON_USD, PriceBook
from shared.persistence.repositories.jobs import PostgresJobs
from shared.providers.price_files import load_price_book
from shared.providers.registry import Providers
from tests.support.chat_jobs import USER, new_chat_job, rows
from tests.support.chat_pipeline import Pipeline, Routing, pipeline
from tests.support.local_providers import SimulatorClient
from tests.support.proxy import Proxy
from tests.support.waiting import wait_until

pytestmark = pytest.mark.integration
_SHIPPED = load_price_book(Path(__file__).parents[4] / "prices")
_LEDGER = "SELECT sum(list_cost_usd), sum(cost_usd), sum(neurons) FROM ledger_entries"


def _with_share(share: Decimal, of_neurons: int) -> PriceBook:
    (allowance,) = _SHIPPED.allowances
    claimed = replace(allowance, share=share, amount=Decimal(of_neurons))
    return PriceBook(_SHIPPED.rows, [claimed])


async def _answer(running: Pipeline, jobs: int) -> list[Decimal]:
    """Return what so many jobs cost."""
    ids = [await running.submit(new_chat_job(prompt=f"Say {n}")) for n in range(jobs)]
    return [view.cost_usd for view in await running.ended(*ids)]


async def test_the_ledger_is_the_bill_while_and_after_neurons_are_free(
    engine: AsyncEngine, proxy: Proxy, simulator: SimulatorClient, providers: Providers
) -> None:
    await simulator.misbehave("cloudflare", free_neurons_per_day=10)
    await simulator.misbehave("cloudflare", mode="cut_stream", after_chunks=2, probability=0.2)
    prices = _with_share(Decimal("0.5"), of_neurons=20)
    async with pipeline(engine, proxy.url, simulator, providers.chat, Routing(prices)) as running:
        costs = await _answer(running, 40)
        ((list_usd, paid_usd, neurons),) = await rows(engine, _LEDGER)
        assert await running.ledger_usd() == paid_usd == sum(costs) == await running.billed_usd()
    assert isinstance(neurons, Decimal)
    assert isinstance(list_usd, Decimal)
    assert neurons > 10
    assert list_usd - 10 * NEURON_USD == paid_usd
    found = await rows(engine, "SELECT frame ->> 'cost_usd' FROM deliveries")
    assert sum(Decimal(str(cost)) for (cost,) in found) == paid_usd
    assert await rows(engine, "SELECT held_usd FROM budgets WHERE held_usd <> 0") == []
    (budget,) = await rows(engine, "SELECT spent_usd FROM budgets WHERE scope = 'global'")
    assert budget == (paid_usd,)


async def test_an_unclaimed_allowance_leaves_the_list_price_on_the_ledger(
    running: Pipeline,
) -> None:
    await _answer(running, 3)
    ((list_usd, paid_usd, _),) = await rows(running.engine, _LEDGER)
    assert list_usd == paid_usd == await running.billed_usd()
    assert await rows(running.engine, "SELECT * FROM allowance_days") == []


async def test_the_ledger_names_the_providers_request_as_the_bill_does(running: Pipeline) -> None:
    await _answer(running, 2)
    entries = await rows(running.engine, "SELECT provider_request_id FROM ledger_entries")
    billed = {request_id for request_id, _ in await running.simulator.billed()}
    assert {request_id for (request_id,) in entries} == billed


async def test_a_job_whose_models_have_no_price_fails_unpaid(
    engine: AsyncEngine, proxy: Proxy, simulator: SimulatorClient, providers: Providers
) -> None:
    prices = PriceBook(row for row in _SHIPPED.rows if row.model != "gpt-6-luna")
    async with pipeline(engine, proxy.url, simulator, providers.chat, Routing(prices)) as running:
        job_id = await running.submit(new_chat_job())

        async def is_over() -> bool:
            view = await PostgresJobs(engine).get(job_id, USER)
            return view is not None and view.status is JobStatus.FAILED

        await wait_until(is_over)
    view = await PostgresJobs(engine).get(job_id, USER)
    assert view is not None
    assert view.error is not None
    assert view.error.code == "unknown_price"
    assert "openai/gpt-6-luna" in view.error.message
    assert view.cost_usd == 0
    assert not view.attempts
    assert await simulator.billed() == []
    assert await rows(engine, "SELECT frame -> 'error' ->> 'code' FROM deliveries") == [
        ("unknown_price",)
    ]
