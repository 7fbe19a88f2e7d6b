import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path

import pytest

from cli.local_stack.environment import inherited_environment
from cli.local_stack.leftovers import HomeInUseError, end_leftovers, lock_home, record
from cli.local_stack.process_identity import ProcessIdentity, identify
from cli.local_stack.processes import ChildProcess, ProcessSpec, spawn
from cli.local_stack.restarts import BackOff, keep_running
from tests.support.waiting import wait_until

_FOREVER = "import signal; print('up', flush=True); signal.pause()"
_DEAF = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {_FOREVER}"


def _spec(folder: Path, code: str) -> ProcessSpec:
    return ProcessSpec(
        name="child",
        arguments=(sys.executable, "-c", code),
        environment=inherited_environment() | {"SECRET": "hidden"},
        log_file=folder / "child.log",
    )


def _is_up(folder: Path) -> bool:
    return (folder / "child.log").read_text() != ""


@pytest.fixture
def child(tmp_path: Path) -> Generator[ChildProcess]:
    started = spawn(_spec(tmp_path, _FOREVER))
    yield started
    started.kill()
    asyncio.run(started.ended())


async def test_stop_ends_a_child(child: ChildProcess) -> None:
    await child.stop(10)
    assert child.exit_status() == -signal.SIGTERM


async def test_a_deaf_child_is_killed(tmp_path: Path) -> None:
    child = spawn(_spec(tmp_path, _DEAF))
    await wait_until(lambda: _is_up(tmp_path))
    await child.stop(0.1)
    assert child.exit_status() == -signal.SIGKILL


def test_a_spec_does_not_show_its_environment(tmp_path: Path) -> None:
    assert "hidden" not in repr(_spec(tmp_path, ""))


async def test_a_dead_child_is_restarted_with_longer_and_longer_pauses(tmp_path: Path) -> None:
    child = spawn(_spec(tmp_path, "raise SystemExit(3)"))
    said: list[str] = []
    restarts: list[int] = []
    keeper = asyncio.create_task(
        keep_running(child, said.append, lambda: restarts.append(child.pid), BackOff(0.1, 0.2))
    )
    await wait_until(lambda: len(restarts) >= 3)
    keeper.cancel()
    await asyncio.wait({keeper})
    await child.stop(5)
    assert [line.partition("(")[0] for line in said[:3]] == [
        f"child ended with status 3: restarting in {delay} s " for delay in ("0.1", "0.2", "0.2")
    ]


async def test_a_restarted_child_has_a_new_identity(child: ChildProcess) -> None:
    before = child.identity
    child.kill()
    await child.ended()
    child.respawn()
    assert not before.is_alive()
    assert child.identity.is_alive()


async def test_leftovers_are_ended(child: ChildProcess, tmp_path: Path) -> None:
    record(tmp_path, [child.identity])
    child_reaped = asyncio.create_task(child.ended())
    assert await end_leftovers(tmp_path) == ["child"]
    await child_reaped
    assert await end_leftovers(tmp_path) == []


async def test_a_stranger_with_a_reused_number_is_left_alone(
    child: ChildProcess, tmp_path: Path
) -> None:
    record(tmp_path, [ProcessIdentity("child", child.pid, started="another time")])
    assert await end_leftovers(tmp_path) == []
    assert child.exit_status() is None


async def test_a_broken_record_is_no_leftover(tmp_path: Path) -> None:
    (tmp_path / "processes.json").write_text("{")
    assert await end_leftovers(tmp_path) == []


def test_a_home_belongs_to_one_stack(tmp_path: Path) -> None:
    with (
        lock_home(tmp_path),
        pytest.raises(HomeInUseError, match=f"process {os.getpid()}"),
    ):
        lock_home(tmp_path)
    lock_home(tmp_path).close()


@pytest.mark.skipif(sys.platform != "linux", reason="prctl is Linux's")
def test_a_child_does_not_outlive_a_killed_parent(tmp_path: Path) -> None:
    code = """
import sys
from pathlib import Path
from tests.unit.cli.local_stack.test_processes import _FOREVER, _spec
from cli.local_stack.processes import spawn
print(spawn(_spec(Path(sys.argv[1]), _FOREVER)).pid, flush=True)
sys.stdin.read()
"""
    parent = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with parent:
        assert parent.stdout is not None
        orphan = identify("orphan", int(parent.stdout.readline()))
        assert orphan.is_alive()
        parent.kill()
    asyncio.run(wait_until(lambda: not orphan.is_alive()))
