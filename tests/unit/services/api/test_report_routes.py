import csv
import io
from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from services.api.use_cases.period_reports import span
from shared.domain.adjustments import LedgerSum
from shared.domain.catalog import Operation, Tier
from shared.domain.ids import UserId
from shared.ports.money import Booked
from shared.ports.reports import LedgerFilter, Reconciliation, UsageRow
from tests.support.api_bench import ApiBench
from tests.support.chat_jobs import ledger_entry

_INVOICE = "date,model,cost\n2026-11-20,gpt-6-luna,2\n"


def _row(**keys: str) -> UsageRow:
    return UsageRow(
        keys, 4, 10, 20, Decimal("1.5"), Decimal(3), 1, 2, 5, 9, None, Decimal(4), Decimal(12)
    )


def _cells(text: str) -> list[dict[str, str]]:
    return [*csv.DictReader(io.StringIO(text))]


async def test_usage_is_exported_as_csv(bench: ApiBench) -> None:
    bench.reports.rows = [_row(user="ann", provider="openai"), _row(user="=1+2", provider="x")]
    async with bench.admin() as admin:
        asked = await admin.get("/v1/admin/usage?group_by=user,provider&format=csv")
        accepted = await admin.get(
            "/v1/admin/usage?group_by=user,provider", headers={"accept": "text/csv"}
        )
    assert asked.headers["content-type"] == "text/csv; charset=utf-8"
    assert asked.text == accepted.text
    first, second = _cells(asked.text)
    assert [*first][:3] == ["user", "provider", "requests"]
    assert (first["user"], first["cost_usd"], first["p99_ms"]) == ("ann", "3", "")
    assert second["user"] == "'=1+2"


async def test_a_wrong_question_is_refused_before_the_export_begins(bench: ApiBench) -> None:
    async with bench.admin() as admin:
        answer = await admin.get("/v1/admin/usage?group_by=planet&format=csv")
        other = await admin.get("/v1/admin/usage?format=xml")
    assert (answer.status_code, answer.json()["error"]["param"]) == (422, "group_by")
    assert (other.status_code, other.json()["error"]["param"]) == (422, "format")


async def test_the_whole_ledger_is_exported(bench: ApiBench) -> None:
    entries = sorted((ledger_entry() for _ in range(1500)), key=lambda entry: entry.id)
    entries[0] = replace(entries[0], user_id=UserId("@ann"), cost_usd=Decimal("-0.5"))
    bench.reports.entries = [*entries]
    async with bench.admin() as admin:
        answer = await admin.get("/v1/admin/ledger?format=csv")
        rest = await admin.get(f"/v1/admin/ledger?format=csv&after={entries[-2].id}")
    rows = _cells(answer.text)
    assert [row["id"] for row in rows] == [entry.id for entry in entries]
    assert (rows[0]["user_id"], rows[0]["cost_usd"], rows[0]["is_fallback"]) == (
        "'@ann",
        "-0.5",
        "false",
    )
    assert len(_cells(rest.text)) == 1


async def test_the_ledger_is_filtered(bench: ApiBench) -> None:
    async with bench.admin() as admin:
        await admin.get("/v1/admin/ledger?user=ann&job=job_1&day=2026-11-20")
        wrong = await admin.get("/v1/admin/ledger?day=soon")
    assert bench.reports.wanted == [
        LedgerFilter(UserId("ann"), bench.reports.wanted[0].job_id, date(2026, 11, 20))
    ]
    assert bench.reports.wanted[0].job_id == "job_1"
    assert (wrong.status_code, wrong.json()["error"]["param"]) == (422, "day")


@pytest.mark.parametrize(
    ("period", "day", "first", "last"),
    [
        ("daily", "2026-11-22", "2026-11-22", "2026-11-22"),
        ("weekly", "2026-11-22", "2026-11-16", "2026-11-22"),
        ("weekly", "2026-11-23", "2026-11-23", "2026-11-29"),
        ("monthly", "2026-02-28", "2026-02-01", "2026-02-28"),
        ("monthly", "2026-12-31", "2026-12-01", "2026-12-31"),
    ],
)
async def test_a_period_is_the_one_around_its_date(
    bench: ApiBench, period: str, day: str, first: str, last: str
) -> None:
    async with bench.admin() as admin:
        body = (await admin.get(f"/v1/admin/reports/{period}?date={day}")).json()
    assert (body["first"], body["last"]) == (first, last)
    assert {asked[1:] for asked in bench.reports.asked} == {
        (date.fromisoformat(first), date.fromisoformat(last))
    }


async def test_a_report_has_rates_and_savings(bench: ApiBench) -> None:
    bench.reports.rows = [_row(user="ann", provider="openai")]
    async with bench.admin() as admin:
        body = (await admin.get("/v1/admin/reports/daily")).json()
    assert body["first"] == str(bench.clock.now().date())
    assert (body["total"]["fallback_rate"], body["total"]["error_rate"]) == (0.25, 0.5)
    assert body["savings"] == {
        "openai_only_usd": "12",
        "cost_usd": "3",
        "saved_usd": "9",
        "saved_share": 0.75,
    }
    assert (body["users"][0]["user"], body["users"][0]["cost_usd"]) == ("ann", "3")
    assert body["users_left_out"] == 0


async def test_a_report_of_nothing_is_a_report(bench: ApiBench) -> None:
    async with bench.admin() as admin:
        body = (await admin.get("/v1/admin/reports/monthly")).json()
    assert (body["total"]["requests"], body["total"]["error_rate"]) == (0, 0.0)
    assert body["savings"]["saved_share"] is None


async def test_a_report_is_a_table_for_people(bench: ApiBench) -> None:
    bench.reports.rows = [
        _row(user=f"user-{n}", provider="openai", day="2026-11-20") for n in range(25)
    ]
    async with bench.admin() as admin:
        asked = await admin.get("/v1/admin/reports/weekly?date=2026-11-20&format=text")
        accepted = await admin.get(
            "/v1/admin/reports/weekly?date=2026-11-20", headers={"accept": "text/plain"}
        )
    assert asked.text == accepted.text
    lines = asked.text.splitlines()
    assert lines[0] == "weekly report, 2026-11-16 to 2026-11-22 (UTC)"
    assert "OpenAI-only bill 300.00 USD, spent 75.00 USD" in lines
    assert "saved 225.00 USD (75.0%)" in lines
    columns = ["user-3", "openai", "4", "3.00", "25.0%", "50.0%", "5", "9", "-"]
    assert columns in [line.split() for line in lines]
    assert lines[-1] == "... and 5 more"


async def test_a_table_of_one_day_lists_no_days_and_leaves_nobody_out(bench: ApiBench) -> None:
    bench.reports.rows = [_row(user="ann", provider="openai", day="2026-11-20")]
    async with bench.admin() as admin:
        table = (await admin.get("/v1/admin/reports/daily?date=2026-11-20&format=text")).text
    lines = table.splitlines()
    assert lines[0] == "daily report, 2026-11-20 (UTC)"
    assert lines[-1].startswith("ann")
    assert not any(line.startswith("day") for line in lines)


def test_a_week_begins_on_monday() -> None:
    assert span("weekly", date(2026, 11, 22)) == (date(2026, 11, 16), date(2026, 11, 22))


async def test_a_reconciliation_on_demand_is_kept(bench: ApiBench) -> None:
    bench.reconciliation.found = Reconciliation(assumed_count=2, drift_usd=Decimal("0.5"))
    async with bench.admin() as admin:
        kept = (await admin.post("/v1/admin/reconciliation?full=true")).json()
        read = (await admin.get("/v1/admin/reconciliation")).json()
    assert kept == read
    assert (read["assumed"]["count"], read["drift_usd"]) == (2, "0.5")
    assert read["last_run"]["occasion"] == "on_demand"
    assert bench.reconciliation.full == [True, False]
    assert len(bench.reconciliation.runs) == 1


async def test_an_invoice_is_imported_looked_at_and_confirmed(bench: ApiBench) -> None:
    bench.invoices.sums = {
        (date(2026, 11, 20), "gpt-6-luna"): LedgerSum(Decimal(3), Tier.PAID, Operation.CHAT)
    }
    bench.invoices.booked = Booked(1, ("an alert",), gates_moved=True)
    async with bench.admin() as admin:
        made = await admin.post(
            "/v1/admin/reconciliation/invoices?provider=openai", content=_INVOICE
        )
        name = made.json()["id"]
        read = await admin.get(f"/v1/admin/reconciliation/invoices/{name}")
        confirmed = await admin.post(f"/v1/admin/reconciliation/invoices/{name}/confirm")
        listed = await admin.get("/v1/admin/reconciliation/invoices")
    assert (made.status_code, made.json()["status"], made.json()["difference_usd"]) == (
        201,
        "proposed",
        "-1",
    )
    assert read.json() == made.json()
    (adjustment,) = made.json()["adjustments"]
    assert (adjustment["cost_usd"], adjustment["user_id"]) == ("-1", "invoice")
    assert (confirmed.json()["status"], confirmed.json()["confirmed_by"]) == ("confirmed", "admin")
    assert [one["status"] for one in listed.json()["data"]] == ["confirmed"]
    assert bench.hint.sent == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"date,model,cost\n2026-11-20,m,much\n", "line 2: 'much' is no number"),
        (b"date,model,cost\n2026-11-20,\xff,1\n", "line 2: this is not UTF-8"),
    ],
)
async def test_an_unreadable_invoice_names_its_line(
    bench: ApiBench, content: bytes, message: str
) -> None:
    async with bench.admin() as admin:
        answer = await admin.post(
            "/v1/admin/reconciliation/invoices?provider=openai", content=content
        )
    assert (answer.status_code, answer.json()["error"]["message"]) == (422, message)
    assert not bench.invoices.invoices


async def test_an_invoice_that_is_not_there_or_out_of_date_is_refused(bench: ApiBench) -> None:
    async with bench.admin() as admin:
        missing = await admin.get("/v1/admin/reconciliation/invoices/inv_9")
        unknown = await admin.post("/v1/admin/reconciliation/invoices/inv_9/confirm")
        made = await admin.post(
            "/v1/admin/reconciliation/invoices?provider=openai", content=_INVOICE
        )
        bench.invoices.has_moved = True
        moved = await admin.post(f"/v1/admin/reconciliation/invoices/{made.json()['id']}/confirm")
    assert (missing.status_code, unknown.status_code) == (404, 404)
    assert (moved.status_code, moved.json()["error"]["code"]) == (409, "ledger_moved")
