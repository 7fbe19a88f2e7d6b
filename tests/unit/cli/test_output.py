import pytest

from cli.output import print_table


def test_a_table_cuts_nothing_off(capsys: pytest.CaptureFixture[str]) -> None:
    long = "a-name-that-is-longer-than-most-terminals-are-wide-" * 3
    print_table([{"user": long, "cost_usd": "0.000000000001"}], ("user", "cost_usd", "day"))
    header, row = capsys.readouterr().out.splitlines()
    assert header.split() == ["user", "cost_usd", "day"]
    assert row.split() == [long, "0.000000000001", "-"]
