import os
import shutil
from pathlib import Path

import pytest

from cli.local_stack.lent_folder import lend, take_back
from cli.local_stack.processes import Account

ME = Account(os.geteuid(), os.getegid())


@pytest.fixture
def location(tmp_path: Path) -> Path:
    place = tmp_path / "postgres"
    place.mkdir()
    (place / "kept").write_text("data")
    return place


def test_what_was_there_is_lent_and_comes_back(location: Path) -> None:
    lent = lend(location, ME)
    assert location.readlink() == lent
    (lent / "new").write_text("more")
    (lent / "programs").mkdir()
    take_back(location, lent, without="programs")
    assert {file.name for file in location.iterdir()} == {"kept", "new"}
    assert not lent.exists()
    assert [file.name for file in location.parent.iterdir()] == ["postgres"]


def test_an_interrupted_run_is_taken_up_again(location: Path) -> None:
    lent = lend(location, ME)
    assert lend(location, ME) == lent
    take_back(location, lent, without="programs")


def test_a_lost_folder_is_replaced_by_an_empty_one(location: Path) -> None:
    shutil.rmtree(lend(location, ME))
    lent = lend(location, ME)
    assert list(lent.iterdir()) == []
    take_back(location, lent, without="programs")


def test_a_stranger_s_folder_is_not_taken(location: Path, tmp_path: Path) -> None:
    shutil.rmtree(location)
    (tmp_path / "strange").mkdir()
    location.symlink_to(tmp_path / "strange")
    lent = lend(location, ME)
    assert lent != tmp_path / "strange"
    take_back(location, lent, without="programs")


def test_a_copy_that_was_not_finished_is_thrown_away(location: Path) -> None:
    location.with_name("postgres.moving").mkdir()
    lent = lend(location, ME)
    assert (lent / "kept").exists()
    take_back(location, lent, without="programs")


def test_a_copy_that_had_only_to_be_renamed_is_used(location: Path) -> None:
    location.rename(location.with_name("postgres.moving"))
    lent = lend(location, ME)
    assert (lent / "kept").exists()
    take_back(location, lent, without="programs")
