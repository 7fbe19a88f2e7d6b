from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from types import MappingProxyType

from structlog.testing import capture_logs

from services.inference_worker.use_cases.check_models import CheckModels, ModelPorts
from shared.domain.catalog import CLOUDFLARE, OPENAI, Operation, Provider, Tier
from shared.domain.model_states import ListedModel, ModelState, ModelStatus
from shared.domain.pricing import PriceBook
from shared.domain.routes import Candidate, Route
from shared.domain.routing import RoutingTable
from shared.ports.models import ModelCatalogue
from shared.providers.errors import own_error
from tests.support.fakes_of_models import MemoryModels, ScriptedCatalogue
from tests.support.fakes_of_time import StillClock
from tests.support.price_rows import LLAMA, LUNA

_LLAMA = Candidate(CLOUDFLARE, "llama")
_LUNA = Candidate(OPENAI, "luna")
_TABLE = RoutingTable(
    {
        (tier, operation): Route(inside_rollout=(_LLAMA,), outside_rollout=(_LUNA, _LLAMA))
        for tier in Tier
        for operation in Operation
    },
    successors=MappingProxyType({_LLAMA: _LUNA}),
)


@dataclass
class Bench:
    """A worker over fakes; both providers list what is routed."""

    models: MemoryModels = field(default_factory=MemoryModels)
    clock: StillClock = field(default_factory=StillClock)
    cloudflare: ScriptedCatalogue = field(
        default_factory=lambda: ScriptedCatalogue([ListedModel("llama")])
    )
    openai: ScriptedCatalogue = field(
        default_factory=lambda: ScriptedCatalogue([ListedModel("luna")])
    )
    days_left: dict[str, float] = field(default_factory=dict[str, float])
    stale: dict[str, bool] = field(default_factory=dict[str, bool])

    async def check(self, prices: PriceBook | None = None, *, with_lists: bool = True) -> None:
        def show_days_left(status: ModelStatus, days: float) -> None:
            self.days_left[str(status)] = days

        catalogues: Mapping[Provider, ModelCatalogue] = {
            CLOUDFLARE: self.cloudflare,
            OPENAI: self.openai,
        }
        ports = ModelPorts(
            self.models,
            catalogues if with_lists else {},
            self.clock,
            show_days_left,
            self.stale.__setitem__,
        )
        await CheckModels(ports, _TABLE, prices or PriceBook([LLAMA, LUNA]), "worker-1")()

    def states(self) -> Mapping[str, ModelState]:
        return {model: status.state for (_, model), status in self.models.statuses.items()}


async def test_routed_models_are_looked_up_in_their_providers_lists() -> None:
    bench = Bench()
    bench.openai.models = [ListedModel("sol")]
    await bench.check()
    assert bench.states() == {"llama": ModelState.LISTED, "luna": ModelState.MISSING}
    assert bench.days_left == {"cloudflare/llama": float("inf"), "openai/luna": 0}


async def test_lists_are_read_once_a_day() -> None:
    bench = Bench()
    for _ in range(3):
        await bench.check()
    assert len(bench.cloudflare.reads) == len(bench.openai.reads) == 1
    bench.clock.advance(timedelta(days=1))
    await bench.check()
    assert len(bench.cloudflare.reads) == 2


async def test_what_somebody_asks_for_is_read_at_once() -> None:
    bench = Bench()
    await bench.check()
    asked = await bench.models.demand("key-1", bench.clock.now())
    await bench.check()
    assert len(bench.openai.reads) == 2
    done = await bench.models.check(asked.id)
    assert done is not None
    assert done.finished_at == bench.clock.now()


async def test_an_end_in_the_lists_or_in_the_prices_is_told_with_its_successor() -> None:
    bench = Bench()
    bench.cloudflare.models = [ListedModel("llama", date(2026, 12, 1))]
    with capture_logs() as logs:
        await bench.check(PriceBook([LLAMA, replace(LUNA, retired_on=date(2026, 11, 30))]))
    messages = [alert.message for alert in bench.models.fired.values()]
    assert [message.partition(";")[0] for message in messages] == [
        "model cloudflare/llama retires on 2026-12-01, in 8 days",
        "model openai/luna retires on 2026-11-30, in 7 days",
    ]
    assert "its successor openai/luna takes over" in messages[0]
    assert "no successor is configured" in messages[1]
    told = [line for line in logs if line["event"] == "models.needs_attention"]
    assert [(line["model"], line["step"]) for line in told] == [("llama", "30d"), ("luna", "7d")]


async def test_a_list_that_cannot_be_read_keeps_nothing_else_from_being_checked() -> None:
    bench = Bench()
    bench.openai.error = own_error(OPENAI, "connection")
    await bench.check()
    assert bench.states() == {"llama": ModelState.LISTED, "luna": ModelState.UNKNOWN}
    assert bench.stale == {"cloudflare": False, "openai": True}
    assert bench.models.read[OPENAI].error == "connection: openai: no connection to the provider"


async def test_a_provider_without_a_list_says_so() -> None:
    bench = Bench()
    await bench.check(with_lists=False)
    assert bench.models.read[OPENAI].error == "openai has no list of models"
    assert bench.stale == {"cloudflare": True, "openai": True}
