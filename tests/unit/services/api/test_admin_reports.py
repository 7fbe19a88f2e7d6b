from datetime import timedelta
from decimal import Decimal

import pytest

from shared.domain.catalog import OPENAI, Operation, Tier
from shared.domain.ids import AttemptId, JobId, KeyId, UserId
from shared.domain.ledger import LedgerEntry
from shared.domain.usage import TokenUsage
from shared.ports.reports import UsageRow
from tests.support.api_bench import ApiBench


async def test_usage_rows_carry_their_groups_keys(bench: ApiBench) -> None:
    bench.reports.rows = [
        UsageRow(
            {"provider": "openai", "day": "2026-11-23"},
            3, 10, 20, Decimal("1.50"), Decimal("0.00120"), 1, 0, 5, 9, None,
        )
    ]  # fmt: skip
    async with bench.admin() as admin:
        answer = await admin.get(
            "/v1/admin/usage",
            params={"group_by": "provider,day", "from": "2026-11-01", "to": "2026-11-23"},
        )
    assert answer.json()["data"] == [
        {
            "provider": "openai",
            "day": "2026-11-23",
            "requests": 3,
            "input_tokens": 10,
            "output_tokens": 20,
            "neurons": "1.5",
            "cost_usd": "0.0012",
            "fallbacks": 1,
            "errors": 0,
            "p50_ms": 5,
            "p95_ms": 9,
            "p99_ms": None,
            "list_cost_usd": "0",
            "openai_only_usd": "0",
        }
    ]


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("group_by=planet", "group_by"),
        ("group_by=user,user", "group_by"),
        ("group_by=", "group_by"),
        ("from=yesterday", "from"),
        ("from=2026-11-02&to=2026-11-01", "from"),
    ],
)
async def test_wrong_usage_questions_are_named(bench: ApiBench, query: str, param: str) -> None:
    async with bench.admin() as admin:
        answer = await admin.get(f"/v1/admin/usage?{query}")
    assert (answer.status_code, answer.json()["error"]["param"]) == (422, param)


async def test_the_ledger_is_paged_by_id(bench: ApiBench) -> None:
    bench.reports.entries = [entry(bench, f"att_{n}") for n in range(3)]
    async with bench.admin() as admin:
        first = (await admin.get("/v1/admin/ledger", params={"limit": 2})).json()
        rest = (await admin.get("/v1/admin/ledger", params={"after": first["next"]})).json()
    assert [row["id"] for row in first["data"]] == ["att_0", "att_1"]
    assert (first["has_more"], first["next"]) == (True, "att_1")
    assert ([row["id"] for row in rest["data"]], rest["has_more"]) == (["att_2"], False)
    assert first["data"][0]["cost_usd"] == "0.000138"
    assert first["data"][0]["corrects"] is None
    assert first["data"][0]["provider_request_id"] == "ray-1"
    assert (first["data"][0]["cached_tokens"], first["data"][0]["neurons_reported"]) == (1, "0.5")


async def test_a_clean_reconciliation_has_no_drift(bench: ApiBench) -> None:
    async with bench.admin() as admin:
        found = (await admin.get("/v1/admin/reconciliation")).json()
    assert found == {
        "attempts_without_ledger": 0,
        "ledger_without_attempt": 0,
        "duplicate_entries": 0,
        "open_holds": 0,
        "expired_holds": 0,
        "holds_without_attempts_usd": "0",
        "assumed": {"count": 0, "cost_usd": "0"},
        "corrections": {"count": 0, "cost_usd": "0"},
        "in_flight_usd": "0",
        "drift_usd": "0",
        "last_run": None,
    }


def entry(bench: ApiBench, attempt_id: str) -> LedgerEntry:
    return LedgerEntry(
        id=AttemptId(attempt_id),
        job_id=JobId("job_1"),
        user_id=UserId("ann"),
        key_id=KeyId("key_ann"),
        tier=Tier.FREE,
        operation=Operation.CHAT,
        provider=OPENAI,
        model="m",
        model_answered=None,
        price_id="p",
        usage=TokenUsage(1, 2, Decimal("0.5"), cached_tokens=1),
        provider_request_id="ray-1",
        neurons=Decimal(0),
        list_cost_usd=Decimal("0.0001380"),
        cost_usd=Decimal("0.0001380"),
        hold_usd=Decimal(0),
        is_fallback=False,
        is_error=False,
        assumed=False,
        latency_ms=5,
        occurred_at=bench.clock.now() - timedelta(seconds=1),
    )
