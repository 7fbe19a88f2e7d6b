import asyncio

import pytest

from shared.providers.limits import Deadline, TimeLimits

_LONG = 1_000.0


@pytest.mark.parametrize(
    ("limits", "has_token", "code"),
    [
        (TimeLimits(first_token=0.01), False, "timeout_first_token"),
        (TimeLimits(between_tokens=0.01), True, "timeout_between_tokens"),
        (TimeLimits(total=0.01), True, "timeout_total"),
        (TimeLimits(total=0.01), False, "timeout_total"),
    ],
)
async def test_the_limit_that_comes_first_ends_a_wait(
    limits: TimeLimits, *, has_token: bool, code: str
) -> None:
    deadline = Deadline(limits)
    if has_token:
        deadline.progressed()

    with pytest.raises(TimeoutError):
        async with deadline.waiting():
            await asyncio.Event().wait()

    assert deadline.code == code


async def test_once_answered_only_the_total_counts() -> None:
    deadline = Deadline(TimeLimits(first_token=_LONG, total=0.01))
    deadline.answered()

    with pytest.raises(TimeoutError):
        async with deadline.waiting():
            await asyncio.Event().wait()

    assert deadline.code == "timeout_total"


async def test_a_wait_that_is_short_enough_passes() -> None:
    async with Deadline(TimeLimits()).waiting():
        await asyncio.sleep(0)
