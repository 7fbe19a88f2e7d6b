"""Providers and their models, as admins ask for them."""

from datetime import date, timedelta

from shared.domain.catalog import CLOUDFLARE, OPENAI, Provider
from shared.domain.circuits import Circuit, CircuitClass, CircuitKey, CircuitState
from shared.domain.model_states import ListOutcome, ListRead, ListUnread, ModelState, ModelStatus
from shared.ports.models import ModelFindings
from tests.support.api_bench import ApiBench

_LUNA = "gpt-6-luna"


async def test_every_routed_model_is_shown_before_any_check(bench: ApiBench) -> None:
    async with bench.admin() as admin:
        listed = (await admin.get("/v1/admin/providers")).json()["data"]
    assert [one["provider"] for one in listed] == ["cloudflare", "openai"]
    assert listed[0]["list_checked_at"] is None
    assert listed[0]["circuits"] == []
    luna = next(one for one in listed[1]["models"] if one["model"] == _LUNA)
    assert luna == {
        "model": _LUNA,
        "state": "unknown",
        "retires_on": None,
        "successor": None,
        "checked_at": None,
    }


async def test_what_was_found_is_shown(bench: ApiBench) -> None:
    now = bench.clock.now()
    status = ModelStatus(OPENAI, _LUNA, ModelState.RETIRING, date(2026, 12, 1), now)
    unrouted = ModelStatus(OPENAI, "gpt-4", ModelState.MISSING, None, now)
    outcomes: list[tuple[Provider, ListOutcome]] = [
        (CLOUDFLARE, ListUnread("away")),
        (OPENAI, ListRead(())),
    ]
    await bench.models.finish([], ModelFindings(now, [status, unrouted], outcomes, ()))
    async with bench.admin() as admin:
        cloudflare, openai = (await admin.get("/v1/admin/providers")).json()["data"]
    assert (cloudflare["list_error"], cloudflare["list_checked_at"]) == ("away", None)
    assert (openai["list_error"], openai["list_checked_at"]) == (None, "2026-11-23T12:00:00Z")
    shown = {one["model"]: one for one in openai["models"]}
    assert (shown[_LUNA]["state"], shown[_LUNA]["retires_on"]) == ("retiring", "2026-12-01")
    assert "gpt-4" not in shown


async def test_a_check_is_asked_for_with_a_hint_and_can_be_followed(bench: ApiBench) -> None:
    async with bench.admin() as admin:
        asked = await admin.post("/v1/admin/providers/check")
        again = await admin.post("/v1/admin/providers/check")
        path = f"/v1/admin/providers/checks/{asked.json()['id']}"
        waiting = (await admin.get(path)).json()
        later = bench.clock.now() + timedelta(seconds=1)
        claimed = await bench.models.claim("worker-1", later, is_night=False)
        await bench.models.finish(claimed, ModelFindings(later, (), (), ()))
        done = (await admin.get(path)).json()
    assert (asked.status_code, again.json()["id"]) == (202, asked.json()["id"])
    assert bench.hint.sent == 2
    assert waiting["finished_at"] is None
    assert done["finished_at"] == "2026-11-23T12:00:01Z"


async def test_a_check_that_nobody_asked_for_is_not_found(bench: ApiBench) -> None:
    async with bench.admin() as admin:
        assert (await admin.get("/v1/admin/providers/checks/9")).status_code == 404
        assert (await admin.get("/v1/admin/providers/checks/soon")).status_code == 422


async def test_providers_are_for_admins(bench: ApiBench) -> None:
    async with bench.client() as client:
        assert (await client.get("/v1/admin/providers")).status_code == 403
        assert (await client.post("/v1/admin/providers/check")).status_code == 403
        assert (await client.get("/v1/admin/providers/checks/1")).status_code == 403


def _circuit(bench: ApiBench) -> Circuit:
    now = bench.clock.now()
    key = CircuitKey(CLOUDFLARE, "@cf/baai/bge-m3", CircuitClass.RATE)
    until = now + timedelta(seconds=30)
    return Circuit(key, CircuitState.OPEN, now, until, 2, "3040", "the model is out of capacity")


async def test_circuits_that_are_not_closed_are_shown(bench: ApiBench) -> None:
    await bench.circuits.trip(_circuit(bench))
    async with bench.admin() as admin:
        cloudflare, openai = (await admin.get("/v1/admin/providers")).json()["data"]
        bench.clock.advance(timedelta(seconds=31))
        returning = (await admin.get("/v1/admin/providers")).json()["data"][0]["circuits"]
        bench.clock.advance(timedelta(seconds=31))
        later = (await admin.get("/v1/admin/providers")).json()["data"][0]["circuits"]
    assert cloudflare["circuits"] == [
        {
            "model": "@cf/baai/bge-m3",
            "circuit": "rate",
            "state": "open",
            "opened_at": "2026-11-23T12:00:00Z",
            "until": "2026-11-23T12:00:30Z",
            "openings": 2,
            "code": "3040",
            "detail": "the model is out of capacity",
        }
    ]
    assert openai["circuits"] == []
    assert [one["state"] for one in returning] == ["recovering"]
    assert later == []


async def test_a_person_closes_a_providers_circuits(bench: ApiBench) -> None:
    await bench.circuits.trip(_circuit(bench))
    async with bench.admin() as admin:
        closed = await admin.post("/v1/admin/providers/cloudflare/reset")
        unknown = await admin.post("/v1/admin/providers/acme/reset")
    assert (closed.status_code, unknown.status_code) == (204, 404)
    assert bench.circuits.circuits == {}
    assert bench.hint.sent == 1


async def test_a_budget_of_a_provider_that_nobody_routes_to_is_refused(bench: ApiBench) -> None:
    async with bench.admin() as admin:
        refused = await admin.put(
            "/v1/admin/budgets/provider:opneai", json={"window": "day", "thresholds": []}
        )
    assert refused.status_code == 422
    assert "cloudflare, openai" in refused.json()["error"]["message"]
