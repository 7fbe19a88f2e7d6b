import asyncio
from pathlib import Path

import pytest

from cli.demo import run
from cli.demo.fresh_home import empty_home
from cli.local_stack.leftovers import HomeInUseError, lock_home
from cli.local_stack.plan import UnusablePlanError


def test_a_given_database_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://someone@example.test/theirs")
    with pytest.raises(UnusablePlanError, match="unset it for the demo"):
        run(tmp_path)
    assert list(tmp_path.iterdir()) == []


async def test_a_home_of_an_earlier_demo_is_emptied(tmp_path: Path) -> None:
    home = tmp_path / "demo"
    (home / "logs").mkdir(parents=True)
    await empty_home(home)
    assert not home.exists()


def test_a_missing_home_stays_missing(tmp_path: Path) -> None:
    asyncio.run(empty_home(tmp_path / "demo"))
    assert list(tmp_path.iterdir()) == []


async def test_the_home_of_a_running_demo_is_left_alone(tmp_path: Path) -> None:
    home = tmp_path / "demo"
    home.mkdir()
    with lock_home(home), pytest.raises(HomeInUseError):
        await empty_home(home)
    assert home.exists()
