from datetime import timedelta

from shared.domain.errors import DatabaseUnavailableError
from shared.observability.starting import until_there


class LateServer:
    """Passes its check from the third time on."""

    def __init__(self) -> None:
        self.asked = 0

    async def check(self) -> bool:
        self.asked += 1
        if self.asked == 1:
            raise DatabaseUnavailableError("not yet")
        return self.asked >= 3


async def test_what_is_there_is_asked_once() -> None:
    late = LateServer()
    late.asked = 10
    await until_there({"database": late.check})
    assert late.asked == 11


async def test_it_waits_for_what_comes_late() -> None:
    late = LateServer()
    await until_there({"database": late.check})
    assert late.asked == 3


async def test_it_gives_up_without_failing() -> None:
    async def never() -> bool:
        return False

    await until_there({"broker": never}, patience=timedelta(0))
