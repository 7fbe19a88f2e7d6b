from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from simulator.bill import Bill, Charge
from simulator.bill_row import decimal_string
from simulator.clock import Clock
from simulator.control import Controls
from simulator.prices import USD_PER_NEURON, Price

_NEURON_PER_TOKEN = Price(
    provider="cloudflare",
    model="m",
    kind="chat",
    input_rate=Decimal(1_000_000),
    output_rate=Decimal(1_000_000),
    context_tokens=None,
    dimensions=None,
    effective_from=date.min,
    retired_on=None,
)


class _Bills:
    """A folder with a bill that can be opened again; 100 neurons of a day are free."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.time = datetime(2026, 11, 22, 23, 59, 59, tzinfo=UTC)
        self.free_per_day = Decimal(100)
        self._calls = 0

    def open(self) -> Bill:
        return Bill(self.home, lambda: self.time, lambda: self.free_per_day)

    def call(self, bill: Bill) -> Charge:
        self._calls += 1
        return bill.charge(
            call_id=f"call_{self._calls}",
            request_id="ray",
            price=_NEURON_PER_TOKEN,
            input_tokens=10,
        )


def _usd(neurons: int) -> str:
    return decimal_string(neurons * USD_PER_NEURON)


@pytest.fixture
def bills(tmp_path: Path) -> _Bills:
    return _Bills(tmp_path)


def test_only_neurons_beyond_the_free_ones_are_billed(bills: _Bills) -> None:
    bill = bills.open()
    bills.call(bill).ended(50, completed=True)
    assert bill.total_to_json()["total_usd"] == "0"
    bills.call(bill).ended(50, completed=True)
    assert bill.total_to_json()["total_usd"] == _usd(20)
    bill.close()


async def test_answers_side_by_side_take_as_they_produce(bills: _Bills) -> None:
    bill = bills.open()
    first, second = bills.call(bill), bills.call(bill)
    for tokens in range(1, 61):
        first.produced(tokens)
        second.produced(tokens)
    first.ended(60, completed=True)
    second.ended(60, completed=True)
    assert bill.total_to_json()["total_usd"] == _usd(40)
    bill.close()


def test_what_was_taken_survives_a_restart(bills: _Bills) -> None:
    bill = bills.open()
    bills.call(bill).ended(80, completed=True)
    bill.close()
    reopened = bills.open()
    bills.call(reopened).ended(80, completed=True)
    assert reopened.total_to_json()["total_usd"] == _usd(80)
    reopened.close()


def test_a_bill_from_before_has_no_free_neurons(bills: _Bills) -> None:
    bill = bills.open()
    bills.call(bill).ended(80, completed=True)
    bill.close()
    file = bills.home / "bill.jsonl"
    file.write_text(file.read_text().replace('"free_neurons":"90",', ""))
    reopened = bills.open()
    bills.call(reopened).ended(80, completed=True)
    assert reopened.total_to_json()["total_usd"] == "0"
    reopened.close()


def test_midnight_utc_brings_new_ones(bills: _Bills) -> None:
    bill = bills.open()
    bills.call(bill).ended(90, completed=True)
    bills.time = datetime(2026, 11, 23, tzinfo=UTC)
    bills.call(bill).ended(90, completed=True)
    assert bill.total_to_json()["total_usd"] == "0"
    bill.close()


def test_they_are_used_up_until_midnight_utc(bills: _Bills) -> None:
    bill = bills.open()
    assert not bill.is_free_used_up()
    bills.call(bill).ended(90, completed=True)
    assert bill.is_free_used_up()
    bills.time = datetime(2026, 11, 23, tzinfo=UTC)
    assert not bill.is_free_used_up()
    bill.close()


def test_a_free_plan_has_ten_thousand_unless_told_otherwise() -> None:
    controls = Controls(Clock())
    controls.merge({"cloudflare": {"plan": "free"}})
    assert controls.free_neurons_per_day() == 10_000
    controls.merge({"cloudflare": {"free_neurons_per_day": 5}})
    assert controls.free_neurons_per_day() == 5


def test_by_default_nothing_is_free(bills: _Bills) -> None:
    controls = Controls(Clock())
    assert controls.free_neurons_per_day() == 0
    bills.free_per_day = controls.free_neurons_per_day()
    bill = bills.open()
    bills.call(bill).ended(90, completed=True)
    assert bill.total_to_json()["total_usd"] == _usd(100)
    bill.close()


def test_an_emptied_bill_begins_the_day_anew(bills: _Bills) -> None:
    bill = bills.open()
    call = bills.call(bill)
    call.produced(40)
    bill.empty()
    call.ended(110, completed=True)
    assert bill.total_to_json()["total_usd"] == _usd(20)
    bill.close()


def test_the_control_shows_and_sets_them() -> None:
    controls = Controls(Clock())
    controls.merge({"cloudflare": {"free_neurons_per_day": 12.5}})
    assert controls.free_neurons_per_day() == Decimal("12.5")
    shown = controls.to_json()
    assert isinstance(shown["cloudflare"], dict)
    assert shown["cloudflare"]["free_neurons_per_day"] == 12.5
    assert "free_neurons_per_day" not in str(shown["openai"])
    controls.restore()
    assert controls.free_neurons_per_day() == 0
