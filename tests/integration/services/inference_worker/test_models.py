"""Models that end: lists of the simulator, a real database, workers' checks, what ops are told."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from types import MappingProxyType

import httpx
import pytest
import structlog
from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncEngine

from services.api.app import create_app
from services.cost_aggregator.adapters.log_channel import LogChannel
from services.cost_aggregator.use_cases.deliver_alerts import DeliverAlerts
from services.inference_worker.use_cases.check_models import CheckModels, ModelPorts
from shared.domain.catalog import CLOUDFLARE, OPENAI
from shared.domain.routes import Candidate
from shared.domain.routing import RoutingTable, routed
from shared.persistence.repositories.alerts import PostgresAlerts
from shared.persistence.repositories.model_checks import PostgresModels
from shared.providers.price_files import load_price_book
from shared.providers.registry import Providers
from shared.providers.routing_file import load_routing_table
from simulator.main import DEFAULT_PRICES
from tests.support.api_bench import ADMIN_KEY, ROUTING, ApiBench
from tests.support.chat_jobs import SetClock, rows
from tests.support.local_providers import SimulatorClient, providers_at, simulator_in
from tests.support.price_rows import write_prices_with_end

pytestmark = pytest.mark.integration

LLAMA = "@cf/meta/llama-3.1-8b-instruct-fast"
LUNA = "gpt-6-luna"
END = date(2027, 3, 20)
_PRICES = load_price_book(DEFAULT_PRICES)


def _table() -> RoutingTable:
    """Return the shipped table, in which llama has a successor and luna has none."""
    table = load_routing_table(ROUTING)
    by_model = {one.model: one for one in routed(table)}
    successors = {by_model[LLAMA]: Candidate(CLOUDFLARE, "@cf/google/gemma-4-26b-a4b-it")}
    return replace(table, successors=MappingProxyType(successors))


class _Model(BaseModel):
    model: str
    state: str
    retires_on: date | None
    successor: str | None
    checked_at: datetime | None


class _Provider(BaseModel):
    provider: str
    models: list[_Model]
    list_checked_at: datetime | None
    list_error: str | None


class _Providers(BaseModel):
    data: list[_Provider]


@pytest.fixture
async def simulator(tmp_path: Path) -> AsyncGenerator[SimulatorClient]:
    """A simulator in which one routed model of each provider ends; our own prices don't say so."""
    prices = write_prices_with_end(tmp_path / "prices", {LLAMA, LUNA}, END)
    async with simulator_in(tmp_path, prices) as running:
        yield running


@pytest.fixture
async def providers(simulator: SimulatorClient) -> AsyncGenerator[Providers]:
    providers = providers_at(simulator.url)
    yield providers
    await providers.aclose()


@dataclass
class World:
    """Workers and ops around one database and one simulator."""

    engine: AsyncEngine
    simulator: SimulatorClient
    providers: Providers
    clock: SetClock = field(default_factory=SetClock)
    days_left: dict[str, float] = field(default_factory=dict[str, float])
    stale: dict[str, bool] = field(default_factory=dict[str, bool])

    def worker(self, name: str = "worker-1") -> CheckModels:
        def show_days_left(status: object, days: float) -> None:
            self.days_left[str(status)] = days

        ports = ModelPorts(
            PostgresModels(self.engine),
            self.providers.catalogues,
            self.clock,
            show_days_left,
            self.stale.__setitem__,
        )
        return CheckModels(ports, _table(), _PRICES, name)

    async def night(self, day: date, *, workers: int = 1) -> None:
        """Let a day come for everybody, and its nightly check be made."""
        self.clock.time = datetime.combine(day, time(12), UTC)
        await self.simulator.http.put(
            f"{self.simulator.url}/_control", json={"clock": self.clock.time.isoformat()}
        )
        names = [f"worker-{number}" for number in range(workers)]
        await asyncio.gather(*(self.worker(name)() for name in names))

    async def admin(self, method: str, path: str) -> httpx.Response:
        """Ask the real app over the real database."""
        bench = ApiBench()
        stores = replace(
            bench.parts.stores,
            models=PostgresModels(self.engine),
            alerts=PostgresAlerts(self.engine),
        )
        app = create_app(replace(bench.parts, stores=stores, routing=_table(), clock=self.clock))
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(app),
            base_url="http://api",
            headers={"authorization": f"Bearer {ADMIN_KEY}"},
        ) as client:
            return await client.request(method, path)

    async def seen(self, model: str) -> _Model:
        """Return a model as ops see it."""
        answer = await self.admin("GET", "/v1/admin/providers")
        listed = _Providers.model_validate_json(answer.content)
        (found,) = [one for each in listed.data for one in each.models if one.model == model]
        return found

    async def told(self, model: str) -> list[str]:
        """Return the messages about a model, oldest first."""
        stored = await PostgresAlerts(self.engine).page(0, 100)
        return [one.alert.message for one in stored if f"/{model} " in one.alert.message]


@pytest.fixture
def world(engine: AsyncEngine, simulator: SimulatorClient, providers: Providers) -> World:
    return World(engine, simulator, providers)


async def test_a_model_that_ends_raises_one_alert_per_step(world: World) -> None:
    seen: list[tuple[str, int]] = []
    for days in (31, 30, 29, 7, 6, 1, 0, -1):
        for _ in range(2):  # a restarted worker checks again, because somebody asks
            await world.admin("POST", "/v1/admin/providers/check")
            await world.night(END - timedelta(days=days))
        seen.append(((await world.seen(LLAMA)).state, len(await world.told(LLAMA))))
    assert seen == [
        ("listed", 0),
        ("retiring", 1),
        ("retiring", 1),
        ("retiring", 2),
        ("retiring", 2),
        ("retiring", 3),
        ("retired", 4),
        ("retired", 4),
    ]


async def test_an_alert_names_model_day_successor_and_what_to_do(world: World) -> None:
    await world.night(END - timedelta(days=30))
    (about_llama,) = await world.told(LLAMA)
    assert about_llama == (
        f"model cloudflare/{LLAMA} retires on 2027-03-20, in 30 days; its successor "
        "cloudflare/@cf/google/gemma-4-26b-a4b-it takes over once calls are refused; "
        "compare price and answers, and route it by then"
    )
    (about_luna,) = await world.told(LUNA)
    assert about_luna == (
        "model openai/gpt-6-luna retires on 2027-03-20, in 30 days; no successor is configured: "
        "calls will go to the route's next candidate; name a successor in the routing table, or "
        "route another model"
    )


async def test_a_model_that_left_openais_list_on_its_day_is_retired(world: World) -> None:
    await world.night(END - timedelta(days=1))
    await world.night(END)
    luna = await world.seen(LUNA)
    assert (luna.state, luna.retires_on) == ("retired", END)
    assert len(await world.told(LUNA)) == 2


async def test_a_model_that_nobody_said_would_end_is_missing(world: World) -> None:
    for day in (END, END + timedelta(days=1)):
        await world.night(day)
    luna = await world.seen(LUNA)
    assert (luna.state, luna.retires_on, luna.successor) == ("missing", None, None)
    (told,) = await world.told(LUNA)
    assert told.startswith("model openai/gpt-6-luna is no longer in openai's list of models; ")


async def test_ops_see_ends_successors_and_when_it_was_checked(world: World) -> None:
    await world.night(END - timedelta(days=3))
    llama = await world.seen(LLAMA)
    assert llama == _Model(
        model=LLAMA,
        state="retiring",
        retires_on=END,
        successor="cloudflare/@cf/google/gemma-4-26b-a4b-it",
        checked_at=world.clock.time,
    )
    assert (await world.seen("gpt-6.1-sol")).state == "listed"
    assert world.days_left[f"cloudflare/{LLAMA}"] == 3
    assert world.days_left["openai/gpt-6.1-sol"] == float("inf")
    assert world.stale == {"cloudflare": False, "openai": False}


async def test_workers_that_look_at_once_make_one_check(world: World) -> None:
    with structlog.testing.capture_logs() as logs:
        await world.night(END - timedelta(days=30), workers=5)
    assert [line["event"] for line in logs].count("models.checked") == 1
    assert await rows(world.engine, "SELECT count(*) FROM model_checks") == [(1,)]
    assert len(await world.told(LLAMA)) == 1


async def test_a_check_that_was_asked_for_is_made_by_one_worker(world: World) -> None:
    await world.night(END - timedelta(days=40))
    asked = (await world.admin("POST", "/v1/admin/providers/check")).json()
    assert asked["finished_at"] is None
    with structlog.testing.capture_logs() as logs:
        await asyncio.gather(*(world.worker(f"worker-{number}")() for number in range(5)))
    assert [line["event"] for line in logs].count("models.checked") == 1
    shown = await world.admin("GET", f"/v1/admin/providers/checks/{asked['id']}")
    assert shown.json()["finished_at"] is not None


async def test_a_list_that_cannot_be_read_is_stale_and_changes_no_state(world: World) -> None:
    await world.night(END - timedelta(days=20))
    read_at = world.clock.time
    unreachable = providers_at("http://127.0.0.1:1")
    world.providers = replace(
        world.providers,
        catalogues={**world.providers.catalogues, OPENAI: unreachable.catalogues[OPENAI]},
    )
    with structlog.testing.capture_logs() as logs:
        await world.night(END - timedelta(days=19))
    await unreachable.aclose()
    answer = await world.admin("GET", "/v1/admin/providers")
    cloudflare, openai = _Providers.model_validate_json(answer.content).data
    assert (cloudflare.list_error, cloudflare.list_checked_at) == (None, world.clock.time)
    assert openai.list_checked_at == read_at
    assert openai.list_error is not None
    assert openai.list_error.startswith("connection: openai: ")
    luna = await world.seen(LUNA)
    assert (luna.state, luna.retires_on, luna.checked_at) == ("retiring", END, read_at)
    assert world.stale["openai"]
    assert [line["provider"] for line in logs if line["event"] == "models.list_stale"] == ["openai"]


async def test_an_alert_about_a_model_is_delivered_as_all_are(world: World) -> None:
    await world.night(END - timedelta(days=30))
    counted: list[str] = []
    deliver = DeliverAlerts(
        PostgresAlerts(world.engine), [LogChannel(counted.append)], lambda _: None
    )
    with structlog.testing.capture_logs() as logs:
        await deliver()
    told = [line["alert"] for line in logs if line["event"] == "model.alert"]
    assert told == [*await world.told(LLAMA), *await world.told(LUNA)]
    assert counted == ["retiring", "retiring"]
    page = (await world.admin("GET", "/v1/admin/alerts")).json()
    assert [(one["kind"], one["scope"]) for one in page["data"]] == [
        ("model", "provider:cloudflare"),
        ("model", "provider:openai"),
    ]
