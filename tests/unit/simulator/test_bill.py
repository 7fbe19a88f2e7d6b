from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

from simulator.bill import Bill, Charge
from simulator.prices import Price

_PRICE = Price(
    provider="cloudflare",
    model="m",
    kind="chat",
    input_rate=Decimal(4119),
    output_rate=Decimal(34868),
    context_tokens=None,
    dimensions=None,
    effective_from=date.min,
    retired_on=None,
)


def _open(home: Path) -> Bill:
    return Bill(home, lambda: datetime(2026, 11, 22, tzinfo=UTC))


def _charge(bill: Bill, call_id: str = "call_1") -> Charge:
    return bill.charge(call_id=call_id, request_id="ray", price=_PRICE, input_tokens=500)


def test_a_call_without_tokens_is_not_billed(tmp_path: Path) -> None:
    bill = _open(tmp_path)
    _charge(bill)
    assert bill.to_json() == {"data": [], "total_usd": "0"}
    bill.close()


def test_a_row_names_its_exact_cost(tmp_path: Path) -> None:
    bill = _open(tmp_path)
    _charge(bill).ended(300, completed=True)
    row = {
        "call_id": "call_1",
        "request_id": "ray",
        "provider": "cloudflare",
        "model": "m",
        "input_tokens": 500,
        "output_tokens": 300,
        "neurons": "12.5199",
        "free_neurons": "0",
        "cost_usd": "0.0001377189",
        "completed": True,
        "at": "2026-11-22T00:00:00+00:00",
    }
    assert bill.to_json() == {"data": [row], "total_usd": "0.0001377189"}
    bill.close()


async def test_the_bill_survives_a_restart_with_the_last_state_of_each_row(tmp_path: Path) -> None:
    bill = _open(tmp_path)
    charge = _charge(bill)
    for tokens in range(1, 10):
        charge.produced(tokens)
    charge.ended(10, completed=False)
    _charge(bill, "call_2").produced(1)
    before = bill.to_json()
    bill.close()
    reopened = _open(tmp_path)
    assert reopened.to_json() == before
    assert reopened.total_to_json() == {"total_usd": before["total_usd"], "calls": 2}
    reopened.close()


def test_the_first_token_is_on_disk_at_once(tmp_path: Path) -> None:
    bill = _open(tmp_path)
    _charge(bill).produced(1)
    reader = _open(tmp_path)
    assert reader.total_to_json()["calls"] == 1
    reader.close()
    bill.close()


def test_a_torn_line_is_cut_off(tmp_path: Path) -> None:
    bill = _open(tmp_path)
    _charge(bill).ended(1, completed=True)
    expected = bill.to_json()
    bill.close()
    with (tmp_path / "bill.jsonl").open("ab") as file:
        file.write(b'{"call_id":"call_2"')
    reopened = _open(tmp_path)
    assert reopened.to_json() == expected
    reopened.close()
    assert (tmp_path / "bill.jsonl").read_bytes().endswith(b"}\n")


async def test_a_call_that_goes_on_after_the_bill_was_emptied_is_billed_anew(
    tmp_path: Path,
) -> None:
    bill = _open(tmp_path)
    charge = _charge(bill)
    charge.produced(1)
    bill.empty()
    charge.ended(300, completed=True)
    assert bill.total_to_json() == {"total_usd": "0.0001377189", "calls": 1}
    bill.close()
