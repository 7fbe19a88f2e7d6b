from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from shared.domain.adjustments import (
    NOBODY,
    AssumedEntry,
    LedgerSum,
    ModelDay,
    adjustments,
    compare,
    correction_prefix,
    name_in_ledger,
)
from shared.domain.catalog import OPENAI, Operation, Tier
from shared.domain.invoices import InvoiceLine
from shared.domain.ledger import LedgerEntry
from tests.support.chat_jobs import ledger_entry

_DAY = date(2026, 11, 20)
_MODEL = "gpt-6-luna"


def _sums(usd: str) -> Mapping[tuple[date, str], LedgerSum]:
    return {(_DAY, _MODEL): LedgerSum(Decimal(usd), Tier.FREE, Operation.CHAT)}


def _assumed(usd: str) -> AssumedEntry:
    moment = datetime.combine(_DAY, datetime.min.time(), UTC)
    entry = replace(ledger_entry(occurred_at=moment), model=_MODEL, assumed=True)
    return AssumedEntry(entry, Decimal(usd))


def _adjusted(invoice: str, ledger: str, *assumed: AssumedEntry) -> Sequence[LedgerEntry]:
    days = [ModelDay(_DAY, _MODEL, Decimal(invoice), Decimal(ledger))]
    return adjustments("inv_7", OPENAI, days, _sums(ledger), assumed)


def test_both_sides_are_laid_side_by_side() -> None:
    lines = [
        InvoiceLine(_DAY, f"{_MODEL}-2026-05-01", Decimal(2)),
        InvoiceLine(_DAY, _MODEL, Decimal(1)),
        InvoiceLine(_DAY, "unheard-of", Decimal(5)),
    ]
    sums = {
        **_sums("2.5"),
        (_DAY, "not-billed"): LedgerSum(Decimal(4), Tier.PAID, Operation.EMBED),
    }
    assert compare(lines, sums) == [
        ModelDay(_DAY, _MODEL, Decimal(3), Decimal("2.5")),
        ModelDay(_DAY, "not-billed", Decimal(0), Decimal(4)),
        ModelDay(_DAY, "unheard-of", Decimal(5), Decimal(0)),
    ]


@pytest.mark.parametrize(
    ("model", "known"),
    [
        ("gpt-6-luna-20260501", "gpt-6-luna"),
        ("gpt-6-luna-0613", "gpt-6-luna"),
        ("baai/bge-m3", "@cf/baai/bge-m3"),
        ("bge-m3", "@cf/baai/bge-m3"),
        ("gpt-6-luna-max", "gpt-6-luna-max"),
    ],
)
def test_models_go_by_other_names_on_invoices(model: str, known: str) -> None:
    assert name_in_ledger(model, ["@cf/baai/bge-m3", "gpt-6-luna"]) == known


def test_nothing_is_booked_where_both_agree() -> None:
    assert _adjusted("2", "2", _assumed("1")) == []


def test_assumed_charges_are_corrected_in_proportion() -> None:
    one, two = _assumed("1"), _assumed("2")
    first, second = _adjusted("8", "10", one, two)
    assert (first.corrects, second.corrects) == (one.entry.id, two.entry.id)
    assert first.cost_usd + second.cost_usd == -2
    assert first.cost_usd == Decimal("-0.666666666667")
    assert (first.user_id, first.assumed, first.usage.is_empty) == ("user-1", False, True)
    assert [first.id, second.id] == ["cor_7_000001", "cor_7_000002"]


def test_what_assumed_charges_do_not_explain_belongs_to_nobody() -> None:
    one = _assumed("1")
    first, rest = _adjusted("8", "10", one)
    assert first.corrects == one.entry.id
    assert first.cost_usd == -1
    assert {str(rest.user_id), str(rest.key_id)} == {NOBODY}
    assert rest.cost_usd == -1
    assert rest.corrects == "invoice:2026-11-20:openai/gpt-6-luna"
    assert (rest.tier, rest.job_id) == (Tier.FREE, "inv_7")
    assert rest.occurred_at.date() == _DAY


def test_a_higher_invoice_corrects_no_assumed_charge() -> None:
    (only,) = _adjusted("12", "10", _assumed("1"))
    assert only.user_id == NOBODY
    assert only.cost_usd == 2


def test_corrected_charges_are_not_corrected_again() -> None:
    (only,) = _adjusted("8", "10", _assumed("0"))
    assert only.user_id == NOBODY
    assert only.cost_usd == -2


def test_corrections_of_an_invoice_share_a_prefix() -> None:
    assert correction_prefix("inv_7") == "cor_7_"
