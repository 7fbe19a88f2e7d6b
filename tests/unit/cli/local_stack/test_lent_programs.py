import os
from pathlib import Path

import pytest

from cli.local_stack.lent_programs import lend_programs
from cli.local_stack.processes import Account


@pytest.fixture
def account() -> Account:
    return Account(os.geteuid(), os.getegid())


@pytest.fixture
def source(tmp_path: Path) -> Path:
    for name, mode in (("bin/serve", 0o755), ("lib/deep/one.so", 0o644), ("lib/own.so", 0o600)):
        file = tmp_path / "wheel" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(name)
        file.chmod(mode)
    return tmp_path / "wheel"


def test_only_what_is_asked_for_is_there(source: Path, tmp_path: Path, account: Account) -> None:
    target = tmp_path / "lent"
    lend_programs(source, ["lib", "missing"], target, account)
    assert [path.name for path in target.iterdir()] == ["lib"]
    assert (target / "lib" / "deep" / "one.so").read_text() == "lib/deep/one.so"


def test_a_file_that_all_may_use_is_not_copied(
    source: Path, tmp_path: Path, account: Account
) -> None:
    target = tmp_path / "lent"
    lend_programs(source, ["bin/serve", "lib"], target, account)
    assert (target / "bin" / "serve").samefile(source / "bin" / "serve")


def test_a_file_that_only_its_owner_may_use_is_copied(
    source: Path, tmp_path: Path, account: Account
) -> None:
    target = tmp_path / "lent"
    lend_programs(source, ["lib"], target, account)
    assert not (target / "lib" / "own.so").samefile(source / "lib" / "own.so")
    assert (target / "lib" / "own.so").stat().st_mode & 0o777 == 0o600


def test_a_file_on_another_disk_is_copied(
    source: Path, tmp_path: Path, account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: str) -> None:
        raise OSError("another disk")

    monkeypatch.setattr("os.link", fail)
    target = tmp_path / "lent"
    lend_programs(source, ["bin/serve"], target, account)
    assert (target / "bin" / "serve").read_text() == "bin/serve"
    assert os.access(target / "bin" / "serve", os.X_OK)


def test_nobody_else_enters_the_target(source: Path, tmp_path: Path, account: Account) -> None:
    target = tmp_path / "lent"
    lend_programs(source, ["lib"], target, account)
    assert target.stat().st_mode & 0o777 == 0o700


def test_what_was_there_is_replaced(source: Path, tmp_path: Path, account: Account) -> None:
    target = tmp_path / "lent"
    lend_programs(source, ["bin/serve"], target, account)
    lend_programs(source, ["lib"], target, account)
    assert not (target / "bin").exists()
    assert (source / "bin" / "serve").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root lends to somebody else")
def test_the_account_owns_the_folders_but_no_file_of_ours(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "lent"
    lend_programs(source, ["lib"], target, Account(65534, 65534))
    assert (target / "lib" / "deep").stat().st_uid == 65534
    assert (target / "lib" / "own.so").stat().st_uid == 65534
    assert (source / "lib" / "deep" / "one.so").stat().st_uid == 0
    assert (source / "lib" / "own.so").stat().st_uid == 0
