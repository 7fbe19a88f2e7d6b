from datetime import date
from decimal import Decimal

import pytest

from shared.domain.catalog import CLOUDFLARE, OPENAI
from shared.domain.errors import InvoiceError
from shared.domain.invoices import InvoiceLine, read_invoice

_DAY = date(2026, 11, 20)
_UNIX = 1_795_132_800


def test_openais_cost_export_is_read() -> None:
    text = (
        "start_time,end_time,start_time_iso,amount_value,amount_currency,line_item,project_id\n"
        f'{_UNIX},{_UNIX + 86400},2026-11-20T00:00:00+00:00,1.25,usd,"gpt-6-luna, input",p\n'
        f'{_UNIX},{_UNIX + 86400},2026-11-20T00:00:00+00:00,0.75,usd,"gpt-6-luna, output",p\n'
    )
    assert read_invoice(OPENAI, text).lines == [InvoiceLine(_DAY, "gpt-6-luna", Decimal(2))]


def test_days_may_be_unix_times_and_columns_in_any_order() -> None:
    text = f"Amount,Model,Start-Time\n$1,gpt-6-luna,{_UNIX}\n"
    assert read_invoice(OPENAI, text).lines == [InvoiceLine(_DAY, "gpt-6-luna", Decimal(1))]


def test_a_time_elsewhere_is_a_day_in_utc() -> None:
    text = "date,model,cost\n2026-11-19T23:30:00-05:00,m,1\n"
    assert read_invoice(OPENAI, text).lines[0].day == _DAY


def test_cloudflares_neurons_are_priced() -> None:
    text = "date,modelId,neurons\n2026-11-20,@cf/baai/bge-m3,1000\n"
    assert read_invoice(CLOUDFLARE, text).lines == [
        InvoiceLine(_DAY, "@cf/baai/bge-m3", Decimal("0.011"))
    ]
    assert read_invoice(CLOUDFLARE, text).at_list_price
    assert not read_invoice(CLOUDFLARE, text.replace("neurons", "cost")).at_list_price


def test_an_amount_goes_before_neurons() -> None:
    text = "\ufeffdate,model,neurons,cost_usd\n\n2026-11-20,@cf/baai/bge-m3,1000,0.5\n"
    assert read_invoice(CLOUDFLARE, text).lines[0].cost_usd == Decimal("0.5")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1: the file has no lines"),
        ("date,model,cost\n", "line 1: the file has no lines"),
        ("model,cost\nm,1\n", "line 1: no column for the day"),
        ("date,cost\n2026-11-20,1\n", "line 1: no column for the model"),
        ("date,model,neurons\n2026-11-20,m,1\n", "line 1: no column for the cost"),
        ("date,model,cost\n2026-11-20,m\n", "line 2: 2 cells are fewer"),
        ("date,model,cost\n2026-11-20,m,1\n\nsoon,m,1\n", "line 4: 'soon' is no day"),
        ("date,model,cost\n999999999999999999,m,1\n", "line 2: '999999999999999999' is no day"),
        ("date,model,cost\n2026-11-20,m,lots\n", "line 2: 'lots' is no number"),
        ("date,model,cost\n2026-11-20,m,NaN\n", "line 2: 'NaN' is no amount"),
        ("date,model,cost\n2026-11-20,m,1e12\n", "line 2: '1e12' is no amount"),
        ("date,model,cost\n2026-11-20,,1\n", "line 2: no model"),
        ("date,model,cost,currency\n2026-11-20,m,1,EUR\n", "line 2: currency 'EUR' is not USD"),
        ('date,model,cost\n2026-11-20,"m,1\n', "line 2: this is no CSV"),
    ],
)
def test_what_cannot_be_read_is_named_by_its_line(text: str, message: str) -> None:
    with pytest.raises(InvoiceError, match=f"^{message}"):
        read_invoice(OPENAI, text)


def test_a_file_has_a_largest_size() -> None:
    text = "date,model,cost\n" + "2026-11-20,m,1\n" * 100_001
    with pytest.raises(InvoiceError, match="line 100001: more than 100000 lines"):
        read_invoice(OPENAI, text)
