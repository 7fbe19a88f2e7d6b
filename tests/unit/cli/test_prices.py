import json
from datetime import timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from cli.application import app
from shared.system import SystemClock

_HEADER = (
    "provider,model,kind,input_usd_per_million,output_usd_per_million,neurons_per_million_input,"
    "neurons_per_million_output,context_tokens,dimensions,effective_from,retired_on,source,as_of\n"
)
_ROUTING = """
[candidates.chat]
provider = "openai"
model = "luna"

[candidates.embed]
provider = "cloudflare"
model = "@cf/baai/bge-m3"
"""
_ROUTES = "".join(
    f'[routes.{tier}.{operation}]\norder = ["{operation}"]\n'
    for tier in ("free", "paid", "premium")
    for operation in ("chat", "embed")
)
_BGE = "cloudflare,@cf/baai/bge-m3,embedding,0.012,0,1075,0,,1024,,,a page,2026-11-22\n"


class Shop:
    """A folder with a routing table and prices, and the command before it."""

    def __init__(self, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.prices = home / "prices"
        self.prices.mkdir()
        (home / "routing.toml").write_text(_ROUTING + _ROUTES, encoding="utf-8")
        monkeypatch.setenv("SLUICEWAY_ROUTING", str(home / "routing.toml"))
        monkeypatch.setenv("SLUICEWAY_PRICES", str(self.prices))
        self.price(_luna())

    def price(self, *lines: str) -> None:
        content = _HEADER + _BGE + "".join(lines)
        (self.prices / "prices.csv").write_text(content, encoding="utf-8")

    def run(self, *words: str) -> Result:
        return CliRunner().invoke(app, list(words))


def _luna(retired_on: str = "") -> str:
    return f"openai,luna,chat,0.1,0.5,,,,,,{retired_on},a page,2026-11-22\n"


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    return Shop(tmp_path, monkeypatch)


def _soon(days: int) -> str:
    return str(SystemClock().now().date() + timedelta(days=days))


def test_all_is_well(shop: Shop) -> None:
    result = shop.run("prices", "check")
    assert result.exit_code == 0
    assert "every routed model has a price" in result.output


def test_a_model_that_retires_soon_is_a_warning(shop: Shop) -> None:
    shop.price(_luna(_soon(29)))
    result = shop.run("prices", "check")
    assert result.exit_code == 0
    assert result.output.startswith("retires   openai/luna on ")
    shop.price(_luna(_soon(40)))
    assert "retires" not in shop.run("prices", "check").output


def test_a_retired_model_is_a_failure(shop: Shop) -> None:
    shop.price(_luna("2026-01-01"))
    result = shop.run("prices", "check")
    assert result.exit_code == 1
    assert "retired   openai/luna since 2026-01-01" in result.output


def test_an_unpriced_model_is_a_failure(shop: Shop) -> None:
    shop.price()
    result = shop.run("prices", "check")
    assert result.exit_code == 1
    assert "unpriced  openai/luna: no price for openai/luna" in result.output


def test_programs_read_json(shop: Shop) -> None:
    shop.price(_luna(_soon(5)))
    result = shop.run("--json", "prices", "check")
    found = json.loads(result.output)
    assert (result.exit_code, found["ok"], found["retired"], found["unpriced"]) == (0, True, [], [])
    (row,) = found["retiring"]
    assert (row["provider"], row["model"], row["retired_on"]) == ("openai", "luna", _soon(5))
    assert 4 <= row["days_left"] <= 5
    assert row["place"].endswith("prices.csv:3")
    shop.price()
    broken = json.loads(shop.run("--json", "prices", "check").output)
    assert [one["model"] for one in broken["unpriced"]] == ["luna"]
    assert broken["ok"] is False


def test_a_faulty_file_is_a_failure_in_one_line(shop: Shop) -> None:
    shop.price(_luna().replace("0.1", "-0.1"))
    result = shop.run("prices", "check")
    assert result.exit_code == 1
    assert "prices.csv:3: input_usd_per_million" in result.output


def test_wrong_usage_has_a_status_of_its_own(shop: Shop) -> None:
    assert shop.run("prices", "check", "--nonsense").exit_code == 2


def test_the_prices_of_today_are_listed(shop: Shop) -> None:
    (shop.prices / "allowances.csv").write_text(
        "provider,unit,amount,per,share,effective_from,source,as_of\n"
        "cloudflare,neurons,10000,day,0.5,2026-01-01,a page,2026-08-28\n",
        encoding="utf-8",
    )
    listed = json.loads(shop.run("--json", "prices", "list").output)
    luna = next(row for row in listed["data"] if row["model"] == "luna")
    assert (luna["input_usd_per_million"], luna["neurons_per_million_input"]) == ("0.1", None)
    (allowance,) = listed["allowances"]
    assert (allowance["per_day"], allowance["share"]) == ("10000", "0.5")
    assert "luna" in shop.run("prices", "list").output


def test_the_shipped_table_has_its_prices() -> None:
    result = CliRunner().invoke(app, ["--json", "prices", "check"])
    assert json.loads(result.output)["unpriced"] == []
    listed = CliRunner().invoke(app, ["--json", "prices", "list"])
    assert len(json.loads(listed.output)["data"]) > 70
