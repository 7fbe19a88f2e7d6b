"""Gates of scopes, the audit trail, budgets by window and alerts, as admins ask for them."""

from datetime import timedelta
from decimal import Decimal

import pytest

from services.api.settings import ApiLimits
from shared.domain.alerts import Alert, AlertDelivery, AlertKind, DeliveryState
from shared.domain.budgets import Budget, Window, hedge_scope
from shared.domain.catalog import Tier
from shared.domain.gates import CHAT_FREE, EMBED_BULK, GateActor, GateState, ScopeGate
from shared.ports.alerts import StoredAlert
from shared.ports.gates import AuditEntry
from tests.support.api_bench import ApiBench

_CHAT = {"messages": [{"role": "user", "content": "hello"}]}


def _closed(bench: ApiBench, scope: str, actor: GateActor = GateActor.BUDGET) -> None:
    until = bench.clock.now() + timedelta(minutes=5)
    for queue in (CHAT_FREE, EMBED_BULK):
        bench.scope_gates.gates[scope, queue] = ScopeGate(
            scope, queue, GateState.CLOSED, 1, reason="day budget", actor=actor, until=until
        )


@pytest.mark.parametrize("scope", ["user:ann", "key:key_ann", "tier:free"])
async def test_a_closed_scope_refuses_its_own_jobs_alone(bench: ApiBench, scope: str) -> None:
    _closed(bench, scope)
    async with bench.client() as ann, bench.client("sk-slw-bob") as bob:
        refused = await ann.post("/v1/chat/jobs", json=_CHAT)
        accepted = await bob.post("/v1/chat/jobs", json=_CHAT)
    assert (refused.status_code, accepted.status_code) == (429, 202)
    assert refused.json()["error"]["code"] == "budget_exceeded"
    assert refused.headers["retry-after"] == "300"
    assert refused.headers["x-should-retry"] == "false"


async def test_what_a_person_closed_to_a_scope_is_a_closed_queue(bench: ApiBench) -> None:
    _closed(bench, "user:ann", GateActor.PERSON)
    async with bench.client() as ann:
        refused = await ann.post("/v1/chat/jobs", json=_CHAT)
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "queue_closed")
    assert "x-should-retry" not in refused.headers


async def test_documents_of_a_closed_scope_are_refused(bench: ApiBench) -> None:
    _closed(bench, "user:ann")
    async with bench.client() as ann:
        await ann.put("/v1/collections/notes", json={})
        refused = await ann.post(
            "/v1/collections/notes/documents", json={"documents": [{"text": "one"}]}
        )
    assert refused.status_code == 429


@pytest.mark.parametrize(
    ("verb", "desired"),
    [("pause", "paused"), ("resume", "running"), ("slow", "slowed"), ("close", "closed")],
)
async def test_a_scopes_gates_move(bench: ApiBench, verb: str, desired: str) -> None:
    _closed(bench, "user:ann")
    async with bench.admin() as admin:
        answer = await admin.post(
            f"/v1/admin/scopes/user:ann/{verb}", json={"reason": "why", "queues": ["chat.free"]}
        )
    (gate,) = answer.json()["data"]
    assert (gate["scope"], gate["queue"], gate["desired"]) == ("user:ann", "chat.free", desired)
    assert gate["concurrency"] == (1 if verb == "slow" else None)
    (change,) = bench.scope_gates.changes
    assert (change.by, change.reason, change.actor) == ("admin", "why", GateActor.PERSON)


async def test_a_scope_without_gates_has_none_to_resume(bench: ApiBench) -> None:
    async with bench.admin() as admin:
        answer = await admin.post("/v1/admin/scopes/user:ann/resume")
    assert (answer.status_code, answer.json()) == (200, {"data": []})


async def test_without_queues_all_of_a_scopes_gates_move(bench: ApiBench) -> None:
    async with bench.admin() as admin:
        await admin.post("/v1/admin/scopes/tier:free/pause")
        listed = await admin.get("/v1/admin/scopes")
    assert len(listed.json()["data"]) == 5


@pytest.mark.parametrize(
    ("scope", "body", "param"),
    [
        ("planet", {}, "scope"),
        ("global", {}, "scope"),
        ("user:ann", {"until": "2026-11-23T11:00:00Z"}, "until"),
        ("user:ann", {"queues": []}, "queues"),
        ("user:ann", {"queues": ["dead.chat"]}, "queues.0"),
    ],
)
async def test_wrong_scope_moves_are_refused(
    bench: ApiBench, scope: str, body: dict[str, object], param: str
) -> None:
    async with bench.admin() as admin:
        answer = await admin.post(f"/v1/admin/scopes/{scope}/pause", json=body)
    assert (answer.status_code, answer.json()["error"]["param"]) == (422, param)


async def test_a_scope_has_a_budget_by_window(bench: ApiBench) -> None:
    async with bench.admin() as admin:
        for window, limit in (("month", "9"), ("day", "1")):
            body = {"window": window, "limit_usd": limit, "reason": f"a {window}"}
            await admin.put("/v1/admin/budgets/user:ann", json=body)

        async def limit_of(query: str) -> str:
            answer = await admin.get(f"/v1/admin/budgets/user:ann{query}")
            return f"{answer.json()['limit_usd']}" if answer.is_success else f"{answer.status_code}"

        assert await limit_of("?window=month") == "9"
        assert await limit_of("?window=day") == await limit_of("") == "1"
        assert len((await admin.get("/v1/admin/budgets")).json()["data"]) == 2
        gone = await admin.delete("/v1/admin/budgets/user:ann?window=day&reason=enough")
        assert (gone.status_code, await limit_of("?window=day")) == (204, "404")
        assert await limit_of("") == "9"
        assert (await admin.get("/v1/admin/budgets/user:ann?window=week")).status_code == 422
    assert bench.budgets.reasons == ["a month", "a day", "enough"]


async def test_a_slow_threshold_says_how_many_calls_may_run(bench: ApiBench) -> None:
    thresholds = [{"at_usd": "1", "action": "slow", "concurrency": 4}]
    async with bench.admin() as admin:
        answer = await admin.put(
            "/v1/admin/budgets/user:ann", json={"window": "day", "thresholds": thresholds}
        )
    assert answer.json()["thresholds"][0]["concurrency"] == 4


def _entry(bench: ApiBench, number: int, kind: str) -> AuditEntry:
    is_gate = kind == "gate"
    return AuditEntry(
        id=number,
        kind=kind,
        scope="user:ann",
        queue=CHAT_FREE if is_gate else None,
        window=None if is_gate else "day",
        from_state="running" if is_gate else None,
        to_state="paused" if is_gate else '{"limit_usd":"5","thresholds":[]}',
        actor="person",
        by="admin",
        reason="why",
        changed_at=bench.clock.now(),
    )


async def test_the_audit_trail_is_paged(bench: ApiBench) -> None:
    bench.audit.entries = [_entry(bench, 1, "gate"), _entry(bench, 2, "budget")]
    async with bench.admin() as admin:
        first = (await admin.get("/v1/admin/audit?limit=1")).json()
        rest = (await admin.get(f"/v1/admin/audit?after={first['next']}")).json()
    assert (first["has_more"], rest["has_more"], rest["next"]) == (True, False, None)
    assert first["data"][0] == {
        "id": 1,
        "kind": "gate",
        "scope": "user:ann",
        "queue": "chat.free",
        "window": None,
        "from": "running",
        "to": "paused",
        "actor": "person",
        "by": "admin",
        "reason": "why",
        "changed_at": "2026-11-23T12:00:00Z",
    }
    assert rest["data"][0]["from"] is None
    assert rest["data"][0]["to"] == {"limit_usd": "5", "thresholds": []}


def _delivery(bench: ApiBench, state: DeliveryState) -> AlertDelivery:
    return AlertDelivery("json-1", state, 1, bench.clock.now(), None, bench.clock.now())


async def test_alerts_show_what_became_of_them(bench: ApiBench) -> None:
    alert = Alert(1, AlertKind.THRESHOLD, "pause", "5 USD spent")
    pending = _delivery(bench, DeliveryState.PENDING)
    now = bench.clock.now()
    bench.alerts.stored = [
        StoredAlert(alert, "global", "day", now, "5:pause", Decimal(5), now, [pending])
    ]
    async with bench.admin() as admin:
        page = (await admin.get("/v1/admin/alerts")).json()
    (shown,) = page["data"]
    assert (shown["action"], shown["spent_usd"], page["next"]) == ("pause", "5", None)
    assert shown["deliveries"][0]["next_attempt_at"] is not None


async def test_a_test_reports_on_every_channel(bench: ApiBench) -> None:
    bench.alerts.outcome = [
        _delivery(bench, DeliveryState.DELIVERED),
        _delivery(bench, DeliveryState.GIVEN_UP),
    ]
    async with bench.admin() as admin:
        answer = await admin.post("/v1/admin/alerts/test")
    states = [one["state"] for one in answer.json()["deliveries"]]
    assert (answer.status_code, states) == (200, ["delivered", "given_up"])


@pytest.mark.parametrize("states", [[], [DeliveryState.PENDING]])
async def test_a_test_that_nobody_sends_is_told(states: list[DeliveryState]) -> None:
    bench = ApiBench(ApiLimits(alert_patience=timedelta(milliseconds=250)))
    bench.alerts.outcome = [_delivery(bench, state) for state in states]
    async with bench.admin() as admin:
        answer = await admin.post("/v1/admin/alerts/test")
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "unavailable")
    assert "does an aggregator run?" in answer.json()["error"]["message"]


async def test_admin_pages_are_for_admins(bench: ApiBench) -> None:
    async with bench.client() as client:
        for path in ("scopes", "audit", "alerts"):
            assert (await client.get(f"/v1/admin/{path}")).status_code == 403


async def test_the_cap_of_hedges_is_shown_but_set_by_the_routing_table_alone(
    bench: ApiBench,
) -> None:
    cap = Budget(hedge_scope(Tier.PREMIUM), Window.DAY, Decimal(5))
    await bench.budgets.put(cap, "test")
    path, body = "/v1/admin/budgets/hedge:premium", {"window": "day", "limit_usd": "9"}
    async with bench.admin() as admin:
        listed = (await admin.get("/v1/admin/budgets")).json()["data"]
        shown = await admin.get(path)
        refused = [
            await admin.put(path, json=body),
            await admin.delete(path),
            await admin.post("/v1/admin/scopes/hedge:premium/pause"),
        ]
    assert [(one["scope"], one["limit_usd"]) for one in listed] == [("hedge:premium", "5")]
    assert (shown.status_code, shown.json()["spent_usd"]) == (200, "0.25")
    assert [answer.status_code for answer in refused] == [422] * 3
    assert {answer.json()["error"]["message"] for answer in refused} == {
        "the cap of hedge:premium is set in the routing table, as hedge"
    }
