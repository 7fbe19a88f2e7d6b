"""`sluiceway usage`, `reports` and `reconcile` against a running stack."""

import csv
import io
import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.support.stack_client import StackClient
from tests.support.stacks import RunningStack
from tests.support.waiting import wait_until

pytestmark = pytest.mark.e2e


def _run(stack: RunningStack, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "cli.main", "--home", str(stack.home), *arguments],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
async def booked(stack: RunningStack, client: StackClient) -> RunningStack:
    """A stack whose ledger has at least one entry and lacks none."""
    await client.finished(await client.submit("What did this cost?"))

    async def is_booked() -> bool:
        found = await client.reconciliation()
        return found.attempts_without_ledger == found.open_holds == 0

    await wait_until(is_booked, 20)
    return stack


async def test_usage_is_a_table_json_or_csv(booked: RunningStack) -> None:
    table = _run(booked, "usage", "--group-by", "user,provider").stdout.splitlines()
    assert table[0].split()[:3] == ["user", "provider", "requests"]
    listed = json.loads(_run(booked, "--json", "usage", "--group-by", "user,provider").stdout)
    text = _run(booked, "usage", "--group-by", "user,provider", "--csv").stdout
    rows = [*csv.DictReader(io.StringIO(text))]
    assert [row["cost_usd"] for row in rows] == [row["cost_usd"] for row in listed["data"]]
    assert len(table) == len(rows) + 1


async def test_reports_are_a_table_or_json(booked: RunningStack) -> None:
    assert _run(booked, "reports", "weekly").stdout.startswith("weekly report, ")
    report = json.loads(_run(booked, "--json", "reports", "daily").stdout)
    assert report["total"]["requests"] > 0
    assert float(report["savings"]["openai_only_usd"]) > 0


async def test_wrong_questions_are_one_line(booked: RunningStack) -> None:
    for arguments in (("usage", "--group-by", "planet", "--csv"), ("reports", "--date", "soon")):
        ended = _run(booked, *arguments)
        assert (ended.returncode, len(ended.stderr.splitlines())) == (1, 1), ended


async def test_an_invoice_is_compared_and_booked(booked: RunningStack, tmp_path: Path) -> None:
    day = datetime.now(UTC).date()  # noqa: TID251 - the stack's own day
    file = tmp_path / "invoice.csv"
    file.write_text(f"date,model,cost\n{day},unheard-of,0.000001\n")
    assert _run(booked, "reconcile").returncode == 0
    command = ("reconcile", "--invoice", str(file), "--provider", "openai")
    proposed = _run(booked, "--json", *command)
    assert proposed.returncode == 1
    invoice = json.loads(proposed.stdout)
    (adjustment,) = (one for one in invoice["adjustments"] if one["model"] == "unheard-of")
    assert adjustment["cost_usd"] == "0.000001"
    booked_once = _run(booked, "reconcile", "--confirm", invoice["id"])
    assert (booked_once.returncode, "confirmed" in booked_once.stdout) == (0, True)
    assert _run(booked, *command).returncode == 0
    assert _run(booked, "reconcile").returncode == 0
    assert _run(booked, "reconcile", "--invoice", str(file)).returncode == 2
