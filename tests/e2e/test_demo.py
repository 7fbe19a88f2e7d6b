import asyncio
import re
import signal
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cli.local_stack.environment import inherited_environment
from cli.local_stack.process_identity import ProcessIdentity, identify
from cli.local_stack.ready_file import read_ready_file
from cli.local_stack.services import PROJECT
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

_THEIRS = ("DATABASE_URL", "CLOUDFLARE_", "OPENAI_", "SLUICEWAY_")
_TOTALS = re.compile(r"ledger = simulator bill: (0\.\d+) USD = (0\.\d+) USD\n")


@contextmanager
def _demo(folder: Path) -> "Generator[subprocess.Popen[str]]":
    """Run the demo away from the checkout, so that no `.env` can lead it to real providers."""
    environment = {
        name: value
        for name, value in inherited_environment().items()
        if not name.startswith(_THEIRS)
    }
    with subprocess.Popen(
        [sys.executable, "-m", "cli.main", "demo", "--home", str(folder / "home")],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=folder,
        env=environment | {"PYTHONPATH": str(PROJECT)},
    ) as process:
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)


def _processes(demo: "subprocess.Popen[str]", folder: Path) -> list[ProcessIdentity]:
    """Return the stack's processes once it is ready."""
    file = folder / "home" / "demo" / "ready.json"
    asyncio.run(wait_until(lambda: file.exists() or demo.poll() is not None, 120))
    ready = read_ready_file(file)
    assert ready is not None, demo.communicate()[0]
    return [identify(one.name, one.pid) for one in ready.processes]


def _still_running(processes: list[ProcessIdentity]) -> list[str]:
    return [one.name for one in processes if one.is_alive()]


def test_the_demo_holds_what_it_claims_and_leaves_nothing(tmp_path: Path) -> None:
    with _demo(tmp_path) as demo:
        processes = _processes(demo, tmp_path)
        printed, _ = demo.communicate(timeout=200)
    assert demo.returncode == 0, printed
    totals = _TOTALS.search(re.sub(" +\n", "\n", printed))
    assert totals is not None, printed
    assert totals[1] == totals[2]
    assert "SIMULATOR" in printed
    assert not _still_running(processes)
    assert list((tmp_path / "home").iterdir()) == []


def test_ctrl_c_leaves_nothing_running(tmp_path: Path) -> None:
    with _demo(tmp_path) as demo:
        processes = _processes(demo, tmp_path)
        demo.send_signal(signal.SIGINT)
        printed, _ = demo.communicate(timeout=90)
    assert demo.returncode == 130, printed
    assert "Interrupted" in printed
    assert not _still_running(processes)
