"""A rollout moved by the admin API, and what the running worker does with the next job."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Final

import httpx
import pytest
from pydantic import BaseModel

from services.api.app import create_app
from shared.domain.catalog import CLOUDFLARE, OPENAI, Provider, Tier
from shared.domain.rollout import Arm
from shared.persistence.repositories.audit import PostgresAuditTrail
from shared.persistence.repositories.reports import PostgresReports
from shared.persistence.repositories.rollouts import PostgresRollouts
from shared.ports.messaging import ControlHint
from shared.system import SystemClock
from tests.support.api_bench import ADMIN_KEY, ApiBench
from tests.support.chat_jobs import USER, new_chat_job, of_user
from tests.support.chat_pipeline import Pipeline
from tests.support.fakes_of_operations import CountingHint
from tests.support.waiting import wait_until

pytestmark = pytest.mark.integration

_PATH = "/v1/admin/rollouts/cloudflare"
_IN_TIME_SECONDS: Final = 2.0
_FREE = of_user(USER, Tier.FREE)


class _ArmDay(BaseModel):
    requests: int
    fallback_rate: float | None
    cost_per_1000_requests_usd: str | None
    p50_ms: int | None


class _Arm(BaseModel):
    arm: str
    today: _ArmDay
    yesterday: _ArmDay


class _Rollout(BaseModel):
    percent: float
    arms: list[_Arm]


@asynccontextmanager
async def _admin(running: Pipeline, hint: ControlHint) -> AsyncGenerator[httpx.AsyncClient]:
    """Give a client of the admin API over the worker's database and broker."""
    bench = ApiBench()
    stores = replace(
        bench.parts.stores,
        rollouts=PostgresRollouts(running.engine),
        reports=PostgresReports(running.engine),
        audit=PostgresAuditTrail(running.engine),
    )
    broker = replace(bench.parts.broker, hint=hint)
    app = create_app(replace(bench.parts, stores=stores, broker=broker, clock=SystemClock()))
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app),
        base_url="http://api",
        headers={"authorization": f"Bearer {ADMIN_KEY}"},
    ) as client:
        yield client


async def _answered(running: Pipeline) -> tuple[Provider | None, list[Arm | None], bool]:
    """Return who answered a free user's next job, by which arm, and whether as a fallback."""
    (view,) = await running.ended(await running.submit(new_chat_job(_FREE)))
    return view.provider, [attempt.arm for attempt in view.attempts], view.is_fallback


async def _put(admin: httpx.AsyncClient, percent: float, reason: str = "") -> None:
    answer = await admin.put(_PATH, json={"percent": percent, "reason": reason})
    assert answer.status_code == 200, answer.text


async def _followed(running: Pipeline, percent: int) -> None:
    await wait_until(lambda: running.percent() == percent, _IN_TIME_SECONDS)


async def test_a_move_decides_who_answers_the_next_job(running: Pipeline) -> None:
    inside, outside = (
        (CLOUDFLARE, ["cloudflare:inside"], False),
        (
            OPENAI,
            ["cloudflare:outside"],
            False,
        ),
    )
    async with _admin(running, running.hint) as admin:
        assert await _answered(running) == inside
        for percent, expected in ((0, outside), (100, inside)):
            await _put(admin, percent)
            await _followed(running, percent)
            assert await _answered(running) == expected
        told = (await admin.get("/v1/admin/audit")).json()["data"]
    assert [(one["from"], one["to"], one["by"]) for one in told] == [
        (None, 100, "CLOUDFLARE_ROLLOUT"),
        (100, 0, "admin"),
        (0, 100, "admin"),
    ]


async def test_a_move_whose_hint_is_lost_is_followed_within_two_seconds(running: Pipeline) -> None:
    async with _admin(running, CountingHint()) as admin:
        await _put(admin, 0)
        await _followed(running, 0)
    assert (await _answered(running))[0] == OPENAI


async def test_the_arms_are_compared_by_what_was_booked(running: Pipeline) -> None:
    async with _admin(running, running.hint) as admin:
        await running.simulator.misbehave("cloudflare", mode="down")
        assert await _answered(running) == (OPENAI, ["cloudflare:inside"] * 2, True)
        await _put(admin, 0)
        await _followed(running, 0)
        await _answered(running)
        await running.ended(await running.submit(new_chat_job()))  # a paying user's tells nothing
        found = _Rollout.model_validate_json((await admin.get(_PATH)).content)
        by_arm = await admin.get("/v1/admin/usage", params={"group_by": "arm,tier"})
    inside, outside = (arm.today for arm in found.arms)
    assert (found.percent, inside.requests, inside.fallback_rate) == (0, 2, 0.5)
    assert (outside.requests, outside.fallback_rate) == (1, 0)
    assert outside.cost_per_1000_requests_usd is not None
    assert outside.p50_ms is not None
    assert {(r["arm"], r["tier"], r["requests"]) for r in by_arm.json()["data"]} == {
        ("cloudflare:inside", "free", 2),
        ("cloudflare:outside", "free", 1),
        ("cloudflare:outside", "paid", 2),
    }
