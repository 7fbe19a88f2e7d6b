"""Models of a running stack: checked when it first starts, and at once when somebody asks."""

import json
import subprocess
import sys
import time

import pytest

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


def _states(stack: RunningStack) -> set[str]:
    answer = json.loads(_run(stack, "--json", "models").stdout)
    return {model["state"] for provider in answer["data"] for model in provider["models"]}


async def test_a_new_stack_has_checked_its_models(stack: RunningStack) -> None:
    await wait_until(lambda: _states(stack) == {"listed"}, 20)


async def test_a_check_on_demand_does_not_wait_for_the_next_round(stack: RunningStack) -> None:
    started = time.monotonic()
    for _ in range(3):
        done = _run(stack, "models", "check")
        assert done.returncode == 0, done.stderr
        assert "@cf/meta/llama-3.1-8b-instruct-fast" in done.stdout
    assert time.monotonic() - started < 20, "a round comes by itself only every half a minute"
