"""Rollouts as admins see and move them."""

from dataclasses import replace
from decimal import Decimal

import pytest

from shared.domain.catalog import Operation, Tier
from shared.ports.reports import NO_USAGE_ROW
from shared.ports.rollouts import RolloutChange
from tests.support.api_bench import ApiBench

_PATH = "/v1/admin/rollouts/cloudflare"


@pytest.fixture
async def begun(bench: ApiBench) -> ApiBench:
    await bench.rollouts.begin(RolloutChange("cloudflare", Decimal(10), "setting", "at first"))
    return bench


async def test_a_rollout_is_listed_and_read(begun: ApiBench) -> None:
    async with begun.admin() as admin:
        listed = (await admin.get("/v1/admin/rollouts")).json()
        read = (await admin.get(_PATH)).json()
    assert listed == {
        "data": [
            {
                "name": "cloudflare",
                "percent": 10,
                "generation": 1,
                "changed_at": "2026-11-23T12:00:00Z",
                "changed_by": "setting",
                "reason": "at first",
            }
        ]
    }
    assert {name: value for name, value in read.items() if name != "arms"} == listed["data"][0]


@pytest.mark.parametrize(
    ("asked", "percent"),
    [(50, 50), ("50", 50), (12.34, 12.34), ("0.01", 0.01), (0, 0), (100, 100), ("99.90", 99.9)],
)
async def test_a_rollout_is_moved_and_workers_get_a_hint(
    begun: ApiBench, asked: float | str, percent: float
) -> None:
    async with begun.admin() as admin:
        moved = await admin.put(_PATH, json={"percent": asked, "reason": "all is well"})
        read = (await admin.get(_PATH)).json()
    body = moved.json()
    assert (moved.status_code, body["percent"], body["generation"]) == (200, percent, 2)
    assert (body["changed_by"], body["reason"]) == ("admin", "all is well")
    assert read["percent"] == percent
    assert begun.hint.sent == 1


async def test_a_move_is_in_the_audit_trail(begun: ApiBench) -> None:
    async with begun.admin() as admin:
        await admin.put(_PATH, json={"percent": 12.5, "reason": "all is well"})
        told = (await admin.get("/v1/admin/audit?after=1")).json()["data"]
    assert told == [
        {
            "id": 2,
            "kind": "rollout",
            "scope": "cloudflare",
            "queue": None,
            "window": None,
            "from": 10,
            "to": 12.5,
            "actor": "person",
            "by": "admin",
            "reason": "all is well",
            "changed_at": "2026-11-23T12:00:00Z",
        }
    ]


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"percent": -0.01}, "percent"),
        ({"percent": 100.01}, "percent"),
        ({"percent": "100.001"}, "percent"),
        ({"percent": 12.345}, "percent"),
        ({"percent": "many"}, "percent"),
        ({"percent": True}, "percent"),
        ({"percent": None}, "percent"),
        ({"percent": "NaN"}, "percent"),
        ({}, "percent"),
        ({"percent": 5, "reason": "\x00"}, "reason"),
        ({"percent": 5, "reason": "x" * 1001}, "reason"),
        ({"percent": 5, "until": "tomorrow"}, "until"),
    ],
)
async def test_a_wrong_move_names_its_field_and_moves_nobody(
    begun: ApiBench, body: dict[str, object], param: str
) -> None:
    async with begun.admin() as admin:
        answer = await admin.put(_PATH, json=body)
    assert (answer.status_code, answer.json()["error"]["param"]) == (422, param)
    assert begun.rollouts.rollouts["cloudflare"].percent == Decimal(10)
    assert begun.hint.sent == 0


@pytest.mark.parametrize("name", ["planet", "cloudflare2"])
async def test_an_unknown_rollout_is_not_found(begun: ApiBench, name: str) -> None:
    async with begun.admin() as admin:
        read = await admin.get(f"/v1/admin/rollouts/{name}")
        moved = await admin.put(f"/v1/admin/rollouts/{name}", json={"percent": 1})
    assert (read.status_code, moved.status_code) == (404, 404)
    assert read.json()["error"]["message"] == f"there is no rollout {name!r}"


async def test_a_name_that_is_none_is_refused(begun: ApiBench) -> None:
    async with begun.admin() as admin:
        answer = await admin.get("/v1/admin/rollouts/Cloud%20Flare")
    assert (answer.status_code, answer.json()["error"]["param"]) == (422, "name")


async def test_users_may_not_see_rollouts(begun: ApiBench) -> None:
    async with begun.client() as ann, begun.client(None) as nobody:
        assert (await ann.get(_PATH)).status_code == 403
        assert (await ann.put(_PATH, json={"percent": 100})).status_code == 403
        assert (await nobody.get(_PATH)).status_code == 401


async def test_an_outage_asks_to_come_back(begun: ApiBench) -> None:
    begun.rollouts.is_away = True
    async with begun.admin() as admin:
        answer = await admin.get(_PATH)
    assert (answer.status_code, "retry-after" in answer.headers) == (503, True)


_NOTHING = {
    "requests": 0,
    "fallback_rate": None,
    "error_rate": None,
    "cost_usd": "0",
    "cost_per_1000_requests_usd": None,
    "p50_ms": None,
    "p95_ms": None,
}


async def test_a_days_calls_of_an_arm_are_rates_and_costs(begun: ApiBench) -> None:
    begun.reports.rows = [
        replace(
            NO_USAGE_ROW,
            keys={"day": "2026-11-23", "arm": "cloudflare:inside"},
            requests=300,
            cost_usd=Decimal("0.0417"),
            fallbacks=6,
            errors=3,
            p50_ms=120,
            p95_ms=900,
        )
    ]
    async with begun.admin() as admin:
        inside, outside = (await admin.get(_PATH)).json()["arms"]
    assert (inside["arm"], outside["arm"]) == ("cloudflare:inside", "cloudflare:outside")
    assert inside["today"] == {
        "day": "2026-11-23",
        "requests": 300,
        "fallback_rate": 0.02,
        "error_rate": 0.01,
        "cost_usd": "0.0417",
        "cost_per_1000_requests_usd": "0.139",
        "p50_ms": 120,
        "p95_ms": 900,
    }
    assert outside["today"] == {"day": "2026-11-23", **_NOTHING}


async def test_an_arm_without_calls_has_no_rates(begun: ApiBench) -> None:
    begun.reports.rows = [
        replace(NO_USAGE_ROW, keys={"day": "2026-11-22", "arm": ""}, requests=7),
    ]
    async with begun.admin() as admin:
        arms = (await admin.get(_PATH)).json()["arms"]
    assert [arm["yesterday"] for arm in arms] == [{"day": "2026-11-22", **_NOTHING}] * 2


async def test_only_routes_that_the_rollout_decides_are_compared(begun: ApiBench) -> None:
    async with begun.admin() as admin:
        await admin.get(_PATH)
    wanted = {(Tier.FREE, Operation.CHAT), (Tier.FREE, Operation.EMBED)}
    assert set(begun.reports.routes) == wanted
    (asked,) = begun.reports.asked
    assert [f"{day}" for day in asked[1:]] == ["2026-11-22", "2026-11-23"]
