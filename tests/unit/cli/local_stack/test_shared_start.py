import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Generator, Sequence
from pathlib import Path

import pytest

from cli.local_stack.environment import inherited_environment
from cli.local_stack.launch import MODULE as LAUNCH
from cli.local_stack.loader import Loader
from cli.local_stack.process_identity import start_mark
from cli.local_stack.processes import AdoptedProcess, ChildProcess, ProcessSpec
from cli.local_stack.services import MODULE_BY_SERVICE, PROJECT
from cli.local_stack.shared_start import SharedStart
from tests.support.waiting import wait_until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux hands children on")

_FOREVER = """
import os, signal, sys
print("loaded by", os.getpid(), flush=True)
def main():
    print("run by", os.getpid(), sys.argv[1:], os.environ["NAME"], flush=True)
    signal.pause()
"""


@pytest.fixture(autouse=True)
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let the modules of a folder be found by every process that is started."""
    (tmp_path / "forever.py").write_text(_FOREVER)
    monkeypatch.setenv("PYTHONPATH", f"{PROJECT}:{tmp_path}")
    return tmp_path


def _spec(folder: Path, name: str, *words: str) -> ProcessSpec:
    return ProcessSpec(
        name=name,
        arguments=(sys.executable, "-m", LAUNCH, *words),
        environment=inherited_environment() | {"NAME": name},
        log_file=folder / f"{name}.log",
    )


@pytest.fixture
def begun(tmp_path: Path) -> Generator[SharedStart]:
    shared = SharedStart(("forever",), tmp_path / "logs" / "loading.log")
    shared.begin()
    yield shared
    shared.end()


@pytest.fixture
def children(begun: SharedStart, tmp_path: Path) -> Generator[list[ChildProcess]]:
    specs = [_spec(tmp_path, name, "forever", f"word-{name}") for name in ("one", "two")]
    started = asyncio.run(begun.finish(specs))
    asyncio.run(wait_until(lambda: all("run by" in _log(child) for child in started), 20))
    yield started
    _end(started)


def _end(children: Sequence[ChildProcess]) -> None:
    for child in children:
        child.kill()
        asyncio.run(child.ended())


def _log(child: ChildProcess) -> str:
    return child.spec.log_file.read_text() if child.spec.log_file.exists() else ""


def test_each_process_has_its_own_words_environment_and_log(children: list[ChildProcess]) -> None:
    assert [_log(child).splitlines()[-1] for child in children] == [
        f"run by {child.pid} ['word-{name}'] {name}"
        for child, name in zip(children, ("one", "two"), strict=True)
    ]


def test_their_modules_are_loaded_once(children: list[ChildProcess], tmp_path: Path) -> None:
    assert len({child.pid for child in children}) == 2
    assert not any("loaded by" in _log(child) for child in children)
    assert (tmp_path / "logs" / "loading.log").read_text().count("loaded by") == 1


def test_each_is_listed_as_what_it_is(children: list[ChildProcess]) -> None:
    for child in children:
        line = Path(f"/proc/{child.pid}/cmdline").read_bytes().rstrip(b"\0").split(b"\0")
        assert tuple(map(os.fsdecode, line)) == child.spec.arguments


def test_each_leads_a_session_of_its_own(children: list[ChildProcess]) -> None:
    assert [os.getsid(child.pid) for child in children] == [child.pid for child in children]


def test_their_ends_are_seen(children: list[ChildProcess]) -> None:
    one, two = children
    one.signal(signal.SIGKILL)
    two.signal(signal.SIGTERM)
    asyncio.run(one.ended())
    asyncio.run(two.ended())
    assert (one.exit_status(), two.exit_status()) == (-9, -15)
    one.signal(signal.SIGTERM)  # it has ended: nobody is signalled


def test_one_that_ended_is_started_by_itself(children: list[ChildProcess]) -> None:
    one = children[0]
    one.kill()
    asyncio.run(one.ended())
    one.respawn()
    asyncio.run(wait_until(lambda: f"run by {one.pid}" in _log(one), 20))
    assert f"loaded by {one.pid}" in _log(one)


def test_nothing_runs_before_it_is_released(tmp_path: Path) -> None:
    loader = Loader(("forever",), tmp_path / "loading.log")
    spec = _spec(tmp_path, "waiting", "forever")
    waiting = ChildProcess(spec, *map(AdoptedProcess, loader.order([spec])))
    assert waiting.exit_status() is None
    loader.end()
    asyncio.run(waiting.ended())
    assert _log(waiting) == ""


def test_nothing_is_left_of_a_start_that_is_given_up(tmp_path: Path) -> None:
    loader = Loader(("forever",), tmp_path / "loading.log")
    loader.end()
    loader.end()
    assert start_mark(loader.pid) == ""


async def test_services_start_by_themselves_when_loading_fails(tmp_path: Path) -> None:
    shared = SharedStart(("forever", "missing"), tmp_path / "loading.log")
    shared.begin()
    children = await shared.finish([_spec(tmp_path, "alone", "forever")])
    shared.end()
    await wait_until(lambda: "run by" in _log(children[0]), 20)
    assert "missing" in (tmp_path / "loading.log").read_text()
    await asyncio.to_thread(_end, children)


async def test_services_start_by_themselves_where_children_cannot_be_handed_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cli.local_stack.shared_start.sys.platform", "darwin")
    shared = SharedStart(("forever",), tmp_path / "loading.log")
    shared.begin()
    monkeypatch.undo()
    children = await shared.finish([])
    shared.end()
    assert children == []
    assert not (tmp_path / "loading.log").exists()


def test_modules_that_start_a_thread_are_not_forked(programs: Path) -> None:
    code = (
        "import threading\nthreading.Thread(target=threading.Event().wait, daemon=True).start()\n"
    )
    (programs / "threaded.py").write_text(code)
    command = [sys.executable, "-m", "cli.local_stack.launch_together", "threaded"]
    done = subprocess.run(command, input="[]\n", capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "cannot be forked" in done.stderr


def test_the_services_of_a_stack_can_be_forked() -> None:
    """Their modules start no thread, not even one of a library's own, which nobody sees."""
    code = (
        f"import importlib\nfor name in {list(MODULE_BY_SERVICE.values())}: "
        "importlib.import_module(name)\n"
        "import os; print(len(os.listdir('/proc/self/task')))"
    )
    environment = inherited_environment() | {"OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    assert done.stdout.strip() == "1", done.stderr
