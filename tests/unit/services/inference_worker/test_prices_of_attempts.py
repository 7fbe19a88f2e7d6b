"""Which price an attempt is held, charged and booked by, whatever the clock does meanwhile."""

from collections.abc import AsyncGenerator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

from shared.domain.catalog import CLOUDFLARE, OPENAI
from shared.domain.errors import ProviderTransientError
from shared.domain.pricing import (
    NEURON_USD,
    Allowance,
    AllowanceUnit,
    DailyAllowance,
    PriceBook,
    PriceRow,
)
from shared.domain.provider_calls import ChatCall, ChatEvent, ChatFinished, TextDelta
from shared.domain.usage import TokenUsage
from shared.messages.frames import ErrorFrame, JobFailed
from tests.support.chat_world import DOWN, JOB_ID, PRICES, ChatWorld, command
from tests.support.fake_providers import Says, ScriptedChatModel
from tests.support.fakes_of_time import StillClock

_DAY = timedelta(days=1)
_USAGE = TokenUsage(100, 10, cached_tokens=40, service_tier="default")


class OverMidnight(ScriptedChatModel):
    """Answers, or fails, a day later."""

    def __init__(self, clock: StillClock, *, fails: bool = False) -> None:
        super().__init__([Says()], CLOUDFLARE)
        self.clock = clock
        self.fails = fails

    async def stream(self, call: ChatCall) -> AsyncGenerator[ChatEvent]:
        self.clock.advance(_DAY)
        if self.fails:
            raise ProviderTransientError(DOWN)
        yield TextDelta("Hello")
        yield ChatFinished("stop", _USAGE, call.model, "request-7")


def _dearer_tomorrow() -> PriceBook:
    return PriceBook([*PRICES.rows, *(_dearer(row) for row in PRICES.rows)])


def _dearer(row: PriceRow) -> PriceRow:
    tomorrow = (StillClock().now() + _DAY).date()
    if row.provider == OPENAI:
        return replace(row, effective_from=tomorrow, input_usd_per_million=Decimal(7))
    return replace(row, effective_from=tomorrow, neurons_per_million_input=Decimal(7_000_000))


async def test_a_price_that_changes_during_a_call_does_not_change_the_calls_price() -> None:
    world = ChatWorld(prices=_dearer_tomorrow())
    world.models[CLOUDFLARE] = OverMidnight(world.clock)
    await world.complete_chat(command())
    (claim,), (event,) = world.attempts.claims, world.usage
    assert event.price_id == claim.price_id == "cloudflare/llama@base"
    assert event.cost_usd == (100 * Decimal(4119) + 10 * Decimal(34868)) / 1_000_000 * NEURON_USD


async def test_a_fallback_is_held_and_charged_by_the_price_of_its_own_day() -> None:
    world = ChatWorld(prices=_dearer_tomorrow())
    world.models[CLOUDFLARE] = OverMidnight(world.clock, fails=True)
    await world.complete_chat(command())
    first, second = world.attempts.claims
    assert second.price_id == "openai/luna@2026-11-24"
    assert second.now - first.now == _DAY
    assert second.hold_usd == (1000 * Decimal(7) + 50 * Decimal("0.5")) / 1_000_000
    assert world.usage[1].price_id == second.price_id


async def test_the_event_names_request_and_cached_tokens() -> None:
    world = ChatWorld()
    world.models[CLOUDFLARE] = OverMidnight(world.clock)
    await world.complete_chat(command())
    (event,) = world.usage
    assert (event.provider_request_id, event.service_tier) == ("request-7", "default")
    assert (event.cached_tokens, event.cache_write_tokens, event.list_cost_usd) == (40, None, None)


async def test_the_settlement_is_told_of_the_allowance_in_force() -> None:
    half = Allowance(
        provider=CLOUDFLARE,
        unit=AllowanceUnit.NEURONS,
        amount=Decimal(10_000),
        share=Decimal("0.5"),
    )
    world = ChatWorld(prices=PriceBook(PRICES.rows, [half]))
    await world.complete_chat(command())
    (settlement,), (claim,) = world.attempts.settlements, world.attempts.claims
    allowance = DailyAllowance("cloudflare/neurons", Decimal(5_000), NEURON_USD)
    assert settlement.result.allowance == allowance
    unallowed = ChatWorld()
    await unallowed.complete_chat(command())
    assert claim.hold_usd == unallowed.attempts.claims[0].hold_usd
    assert unallowed.attempts.settlements[0].result.allowance is None


async def test_the_client_gets_the_frame_that_was_committed() -> None:
    world = ChatWorld()
    committed = JobFailed(job_id=JOB_ID, error=ErrorFrame(code="any", message="other frame"))
    world.attempts.committed_frame = committed.model_dump_json().encode()
    await world.complete_chat(command())
    assert world.frames.frames[-1] == committed
