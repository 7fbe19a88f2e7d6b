import socket
from pathlib import Path

import pytest

from cli.local_stack.plan import StackOptions, UnusablePlanError, make_plan, parse_scale
from cli.local_stack.ports import LOOPBACK, free_ports
from cli.local_stack.services import DEFAULT_SCALE, service_names

_CREDENTIALS = ("CLOUDFLARE_ACCOUNT_ID", "CLOUDFLARE_API_TOKEN", "OPENAI_API_KEY")


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in (*_CREDENTIALS, "DATABASE_URL", "RABBITMQ_URL", "SLUICEWAY_ADMIN_KEY"):
        monkeypatch.delenv(name, raising=False)


def _options(home: Path, port: int | None = 0) -> StackOptions:
    return StackOptions(home=home, ready_file=home / "ready.json", api_port=port)


def test_without_credentials_the_simulator_answers(tmp_path: Path) -> None:
    assert make_plan(_options(tmp_path)).simulator_port is not None


def test_with_all_credentials_the_providers_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in _CREDENTIALS:
        monkeypatch.setenv(name, "x")
    assert make_plan(_options(tmp_path)).simulator_port is None


def test_half_the_credentials_are_a_mistake_that_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "x")
    with pytest.raises(UnusablePlanError, match="CLOUDFLARE_ACCOUNT_ID, CLOUDFLARE_API_TOKEN"):
        make_plan(_options(tmp_path))


def test_credentials_may_stand_in_the_env_file(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("".join(f"{name}=x\n" for name in _CREDENTIALS))
    assert make_plan(_options(tmp_path)).simulator_port is None


def test_a_taken_port_is_refused(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    with (
        socket.create_server((LOOPBACK, port)),
        pytest.raises(UnusablePlanError, match=f"{port} is taken"),
    ):
        make_plan(_options(tmp_path, port))


def test_the_admin_key_of_a_home_stays_the_same(tmp_path: Path) -> None:
    first, second = make_plan(_options(tmp_path)), make_plan(_options(tmp_path))
    assert first.admin_key == second.admin_key != ""


def test_a_plan_does_not_show_its_secrets(tmp_path: Path) -> None:
    plan = make_plan(_options(tmp_path))
    assert plan.admin_key not in repr(plan)


def test_the_scale_changes_only_what_it_names() -> None:
    assert parse_scale("inference=5") == DEFAULT_SCALE | {"inference": 5}


@pytest.mark.parametrize("text", ["worker=1", "api", "api=-1", "api=0", "api=x", "api=65"])
def test_an_impossible_scale_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="api"):
        parse_scale(text)


def test_processes_are_numbered_from_one() -> None:
    assert [name for name, _ in service_names({"api": 1, "inference": 2})] == [
        "api-1",
        "inference-1",
        "inference-2",
    ]
