from itertools import count

import pytest

from cli.demo.eventually import eventually
from cli.demo.failure import DemoFailedError


async def test_what_holds_in_the_end_is_returned() -> None:
    numbers = count()

    async def look() -> int:
        return next(numbers)

    assert await eventually(look, lambda seen: seen == 2, "two comes") == 2


async def test_what_never_holds_is_named_with_what_was_seen() -> None:
    async def look() -> str:
        return "rain"

    with pytest.raises(DemoFailedError, match="the sun shines: not within 0 s; last seen: rain"):
        await eventually(look, lambda seen: seen == "sun", "the sun shines", within_seconds=0)
