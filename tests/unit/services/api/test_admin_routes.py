from datetime import timedelta

import pytest

from services.api.use_cases.authenticate import secret_hash
from shared.domain.gates import CHAT_FREE, WORK_QUEUES, Gate, GateActor, GateState, QueueActual
from shared.ports.gates import WorkerActual
from tests.support.api_bench import ApiBench


async def test_a_key_is_shown_once_and_stored_hashed(bench: ApiBench) -> None:
    limits = {"requests_per_minute": 5, "requests_per_day": None, "tokens_per_minute": None}
    async with bench.admin() as admin:
        made = await admin.post(
            "/v1/admin/keys", json={"user_id": "eve", "tier": "paid", "limits": limits}
        )
        listed = (await admin.get("/v1/admin/keys")).json()["data"][-1]
    assert made.status_code == 201
    key = made.json()
    assert key["key"] == "sk-slw-" + "r" * 43
    assert (key["scopes"], key["expires_at"], key["limits"]) == (["jobs"], None, limits)
    assert listed == {name: value for name, value in key.items() if name != "key"}
    assert secret_hash(key["key"]) in bench.keys.keys
    async with bench.client(key["key"]) as client:
        assert (await client.get("/v1/jobs")).status_code == 200
    async with bench.admin() as admin:
        assert (await admin.delete(f"/v1/admin/keys/{key['id']}")).status_code == 204
        assert (await admin.delete(f"/v1/admin/keys/{key['id']}")).status_code == 404


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"user_id": "a b"}, "user_id"),
        ({"tier": "gold"}, "tier"),
        ({"scopes": ["root"]}, "scopes.0"),
        ({"scopes": []}, "scopes"),
        ({"expires_at": "2026-11-23T11:00:00Z"}, "expires_at"),
        ({"limits": {"requests_per_minute": 0}}, "limits.requests_per_minute"),
    ],
)
async def test_a_wrong_key_request_names_its_field(
    bench: ApiBench, change: dict[str, object], param: str
) -> None:
    async with bench.admin() as admin:
        answer = await admin.post(
            "/v1/admin/keys", json={"user_id": "eve", "tier": "paid", **change}
        )
    assert (answer.status_code, answer.json()["error"]["param"]) == (422, param)


@pytest.mark.parametrize(
    ("verb", "desired"),
    [("pause", "paused"), ("resume", "running"), ("slow", "slowed"), ("close", "closed")],
)
async def test_a_gate_moves_and_workers_get_a_hint(
    bench: ApiBench, verb: str, desired: str
) -> None:
    bench.gates.gates[CHAT_FREE] = Gate(
        CHAT_FREE, GateState.PAUSED, 1, "day budget", GateActor.BUDGET
    )
    async with bench.admin() as admin:
        answer = await admin.post(f"/v1/admin/queues/chat.free/{verb}", json={"reason": "why"})
    body = answer.json()
    assert (body["desired"], body["generation"], body["reason"]) == (desired, 2, "why")
    assert ([one.by for one in bench.gates.changes], bench.hint.sent) == (["admin"], 1)
    assert body["concurrency"] == (1 if verb == "slow" else None)


async def test_wrong_gate_moves_are_refused(bench: ApiBench) -> None:
    async with bench.admin() as admin:
        unknown = await admin.post("/v1/admin/queues/chat.gold/pause")
        verb = await admin.post("/v1/admin/queues/chat.free/explode")
        past = await admin.post(
            "/v1/admin/queues/chat.free/pause", json={"until": "2026-11-23T11:00:00Z"}
        )
    assert unknown.status_code == 404
    assert (verb.status_code, verb.json()["error"]["param"]) == (422, "verb")
    assert (past.status_code, past.json()["error"]["param"]) == (422, "until")
    assert not bench.gates.changes


async def test_queues_show_what_workers_do(bench: ApiBench) -> None:
    def worker(actual: str, generation: int) -> WorkerActual:
        return WorkerActual("w", QueueActual(CHAT_FREE, actual, generation, 3), bench.clock.now())

    async with bench.admin() as admin:

        async def row() -> dict[str, object]:
            rows: list[dict[str, object]] = (await admin.get("/v1/admin/queues")).json()["data"]
            return next(one for one in rows if one["name"] == "chat.free")

        assert (await row())["actual"] == "no_workers"
        bench.gates.workers[CHAT_FREE] = [worker("running", 1), worker("running", 1)]
        first = await row()
        assert (first["actual"], first["in_flight"], first["ready"]) == ("running", 6, 7)
        await admin.post("/v1/admin/queues/chat.free/pause")
        assert (await row())["actual"] == "pausing"
        bench.gates.workers[CHAT_FREE] = [worker("paused", 2)]
        bench.depths.is_away = True
        last = await row()
        assert (last["actual"], last["ready"], last["consumers"]) == ("paused", None, None)


async def test_a_budget_is_replaced_read_and_removed(bench: ApiBench) -> None:
    body = {
        "window": "month",
        "limit_usd": "12.50",
        "thresholds": [
            {"at_usd": 0.1, "action": "alert"},
            {"at_usd": "10", "action": "pause", "queues": ["embed.bulk"]},
        ],
    }
    async with bench.admin() as admin:
        put = await admin.put("/v1/admin/budgets/tier:free", json=body)
        assert put.json() == {
            "scope": "tier:free",
            "window": "month",
            "limit_usd": "12.5",
            "thresholds": [
                {
                    "at_usd": "0.1",
                    "action": "alert",
                    "queues": [*WORK_QUEUES],
                    "concurrency": None,
                },
                {
                    "at_usd": "10",
                    "action": "pause",
                    "queues": ["embed.bulk"],
                    "concurrency": None,
                },
            ],
            "window_start": "2026-11-01T00:00:00Z",
            "window_end": "2026-12-01T00:00:00Z",
            "spent_usd": "0.25",
            "held_usd": "0.05",
        }
        assert (await admin.get("/v1/admin/budgets/tier:free")).json() == put.json()
        assert (await admin.get("/v1/admin/budgets")).json()["data"] == [put.json()]
        assert (await admin.delete("/v1/admin/budgets/tier:free")).status_code == 204
        assert (await admin.delete("/v1/admin/budgets/tier:free")).status_code == 404
        assert (await admin.get("/v1/admin/budgets/tier:free")).status_code == 404
    assert bench.hint.sent == 2


@pytest.mark.parametrize(
    ("scope", "body", "param"),
    [
        ("tier:gold", {"window": "day"}, "scope"),
        ("planet", {"window": "day"}, "scope"),
        ("global", {"window": "week"}, "window"),
        ("global", {"window": "day", "limit_usd": "-1"}, "limit_usd"),
        ("global", {"window": "day", "limit_usd": "NaN"}, "limit_usd"),
        ("global", {"window": "day", "limit_usd": "1e-13"}, "limit_usd"),
        (
            "global",
            {"window": "day", "thresholds": [{"at_usd": 1, "action": "alert"}] * 2},
            "thresholds",
        ),
        (
            "global",
            {"window": "day", "thresholds": [{"at_usd": 1, "action": "pause", "queues": ["x"]}]},
            "thresholds.0.queues.0",
        ),
    ],
)
async def test_a_wrong_budget_names_its_field(
    bench: ApiBench, scope: str, body: dict[str, object], param: str
) -> None:
    async with bench.admin() as admin:
        answer = await admin.put(f"/v1/admin/budgets/{scope}", json=body)
    assert (answer.status_code, answer.json()["error"]["param"]) == (422, param)


async def test_probes_need_no_key(bench: ApiBench) -> None:
    async with bench.client(None) as client:
        assert (await client.get("/healthz")).status_code == 200
        assert (await client.get("/readyz")).json() == {"status": "ready"}
        bench.is_ready = False
        unready = await client.get("/readyz")
        assert (unready.status_code, unready.json()["failed"]) == (503, ["database"])
        shown = (await client.get("/metrics")).text
    assert 'sluiceway_http_requests_total{method="GET",route="/readyz",status="503"} 1.0' in shown


async def test_a_queue_shows_how_long_its_oldest_job_has_waited(bench: ApiBench) -> None:
    bench.gates.oldest_by_queue[CHAT_FREE] = bench.clock.now()
    bench.clock.advance(timedelta(seconds=90))
    async with bench.admin() as admin:
        rows = (await admin.get("/v1/admin/queues")).json()["data"]
    ages = {row["name"]: row["oldest_age_seconds"] for row in rows}
    assert (ages["chat.free"], ages["chat.paid"]) == (90.0, None)
