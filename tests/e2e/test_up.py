import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

import pytest

from cli.local_stack.process_identity import ProcessIdentity, identify
from cli.local_stack.ready_file import ReadyFile, read_ready_file
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]


@dataclass
class RunningStack:
    process: "subprocess.Popen[str]"
    home: Path

    @property
    def ready(self) -> ReadyFile:
        ready = read_ready_file(self.home / "ready.json")
        assert ready is not None
        return ready

    def identities(self) -> list[ProcessIdentity]:
        return [identify(one.name, one.pid) for one in self.ready.processes]

    def pid_of(self, name: str) -> int:
        return next(one.pid for one in self.ready.processes if one.name == name)

    def run(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        return _run("--home", str(self.home), *arguments)


def _run(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "cli.main", *arguments], capture_output=True, text=True, check=False
    )


def _start(home: Path) -> RunningStack:
    command = [sys.executable, "-m", "cli.main", "up", "--port", "0", "--home", str(home)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    stack = RunningStack(process, home)
    ready_file = home / "ready.json"
    asyncio.run(
        wait_until(lambda: ready_file.exists() or process.poll() is not None, deadline_seconds=120)
    )
    if process.poll() is not None:
        pytest.fail(process.communicate()[1])
    return stack


def _stop(stack: RunningStack) -> str:
    stack.process.send_signal(signal.SIGTERM)
    return stack.process.communicate(timeout=90)[1]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Generator[RunningStack]:
    running = _start(tmp_path_factory.mktemp("up") / "home")
    yield running
    _stop(running)


def test_the_ready_file_names_every_process(stack: RunningStack) -> None:
    assert {one.name for one in stack.ready.processes} == {
        "api-1",
        "inference-1",
        "inference-2",
        "embedding-1",
        "aggregator-1",
        "simulator",
        "postgres",
        "rabbitmq",
        "epmd",
    }


def test_no_secret_is_in_a_process_list(stack: RunningStack) -> None:
    ready = stack.ready
    secrets = [ready.admin_key, ready.database_url.split(":")[2].partition("@")[0]]
    listed = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True)
    assert not any(secret in listed.stdout for secret in secrets)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux hands children on")
def test_the_services_were_loaded_once_and_became_children_of_the_stack(
    stack: RunningStack,
) -> None:
    for name in ("inference-2", "embedding-1", "aggregator-1"):  # what no test here restarts
        process = Path(f"/proc/{stack.pid_of(name)}")
        assert b"SLUICEWAY_PROCESS_NAME" not in (process / "environ").read_bytes()
        assert f"PPid:\t{stack.process.pid}\n" in (process / "status").read_text()


def test_a_chat_is_answered_while_it_is_watched(stack: RunningStack) -> None:
    done = stack.run("chat", "--json", "why is the sky blue", "--watch")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["type"] == "job.completed"


def test_documents_are_ingested_and_found(stack: RunningStack, tmp_path: Path) -> None:
    file = tmp_path / "documents.jsonl"
    file.write_text('{"id":"a","text":"the red fox"}\n{"id":"b","text":"a slow train"}\n')
    ingested = stack.run("ingest", "animals", str(file), "--wait", "--json")
    assert ingested.returncode == 0, ingested.stderr
    found = stack.run("search", "animals", "red fox", "-k", "1", "--json")
    assert [match["document_id"] for match in json.loads(found.stdout)["matches"]] == ["a"]


@pytest.mark.parametrize(
    "command",
    ["jobs list", "queues", "usage", "keys list", "budgets show", "reconcile"],
)
def test_every_list_is_printed_for_people_and_for_programs(
    stack: RunningStack, command: str
) -> None:
    for_people = stack.run(*command.split())
    for_programs = stack.run(*command.split(), "--json")
    assert (for_people.returncode, for_programs.returncode) == (0, 0), for_people.stderr
    assert isinstance(json.loads(for_programs.stdout), dict)


def test_a_queue_is_paused_and_resumed(stack: RunningStack) -> None:
    paused = stack.run("queues", "pause", "chat.free", "--reason", "tea", "--json")
    assert paused.returncode == 0, paused.stderr
    assert stack.run("queues", "resume", "chat.free").returncode == 0


def test_a_budget_is_set_and_shown(stack: RunningStack) -> None:
    done = stack.run("budgets", "set", "user:ann", "--limit", "5", "--threshold", "1.5:alert")
    assert done.returncode == 0, done.stderr
    shown = json.loads(stack.run("budgets", "show", "user:ann", "--json").stdout)
    assert shown["thresholds"][0]["action"] == "alert"


def test_a_key_is_created_and_deleted(stack: RunningStack) -> None:
    made = json.loads(stack.run("keys", "create", "--user", "ann", "--json").stdout)
    assert stack.run("keys", "delete", made["id"]).returncode == 0


def test_a_wrong_key_is_one_line_and_status_1(stack: RunningStack) -> None:
    done = stack.run("jobs", "list", "--key", "sk-wrong")
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "wrong key" in done.stderr


def test_nothing_at_the_address_is_one_line_and_status_1() -> None:
    done = _run("jobs", "list", "--url", "http://127.0.0.1:9", "--key", "k")
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
    assert "nothing answers at http://127.0.0.1:9" in done.stderr


def test_no_stack_is_one_line_and_status_1(tmp_path: Path) -> None:
    done = _run("jobs", "list", "--home", str(tmp_path))
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)


def test_a_usage_mistake_is_status_2() -> None:
    assert _run("up", "--scale", "nobody=1").returncode == 2


def test_a_second_stack_in_the_same_home_is_refused(stack: RunningStack) -> None:
    done = stack.run("up", "--port", "0")
    assert done.returncode == 1
    assert f"already runs in {stack.home} (process {stack.process.pid})" in done.stderr


@pytest.mark.parametrize("name", ["inference-1", "api-1"])
def test_a_killed_process_is_restarted(stack: RunningStack, name: str) -> None:
    before = stack.pid_of(name)
    os.kill(before, signal.SIGKILL)
    asyncio.run(wait_until(lambda: stack.pid_of(name) != before, 30))
    asyncio.run(wait_until(lambda: stack.run("jobs", "list").returncode == 0, 30))


def test_sigterm_ends_everything_with_status_0(tmp_path: Path) -> None:
    stack = _start(tmp_path / "home")
    processes = stack.identities()
    keys = stack.ready.keys
    said = _stop(stack)
    assert stack.process.returncode == 0, said
    assert not [one.name for one in processes if one.is_alive()]
    assert not (tmp_path / "home" / "ready.json").exists()

    again = _start(tmp_path / "home")
    assert again.ready.keys == keys
    processes = again.identities()
    again.process.kill()
    again.process.communicate()
    asyncio.run(wait_until(lambda: not any(one.is_alive() for one in processes), 60))
    shutil.rmtree((again.home / "postgres").resolve())
