from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from decimal import Decimal
from io import StringIO
from pathlib import Path

import httpx
import pytest
from rich.console import Console

from cli.demo.accounts import is_clean, ledger_total, settled
from cli.demo.answers import Assumed, Reconciliation, Usage, UsageList
from cli.demo.client import Client
from cli.demo.failure import DemoFailedError
from cli.demo.screen import Screen
from cli.demo.stage import Stage

_CLEAN = Reconciliation(
    attempts_without_ledger=0,
    ledger_without_attempt=0,
    duplicate_entries=0,
    open_holds=0,
    expired_holds=0,
    assumed=Assumed(count=0),
    drift_usd=Decimal(0),
)
_PAGES = {
    None: '{"data":[{"id":"a","cost_usd":"0.1"},{"id":"b","cost_usd":"0.2"}],"next":"b"}',
    "b": '{"data":[{"id":"c","cost_usd":"0.000000000003"}],"next":null}',
}


def _answer(request: httpx.Request) -> httpx.Response:
    if request.url.path == "/v1/admin/ledger":
        return httpx.Response(200, text=_PAGES[request.url.params.get("after")])
    return httpx.Response(200, text=_CLEAN.model_dump_json())


@asynccontextmanager
async def _stage() -> AsyncGenerator[Stage]:
    async with httpx.AsyncClient(transport=httpx.MockTransport(_answer)) as http:
        screen = Screen(Console(file=StringIO()))
        yield Stage(screen, Client(http, "http://api", "admin"), {}, None, Path())


def _usage(cost_usd: str) -> UsageList:
    row = Usage(
        provider="openai",
        operation="chat",
        requests=3,
        input_tokens=1,
        output_tokens=1,
        cost_usd=Decimal(cost_usd),
        fallbacks=0,
        errors=0,
        p50_ms=None,
        p95_ms=None,
    )
    return UsageList(data=(row,))


async def test_the_ledger_is_added_up_over_all_pages() -> None:
    async with _stage() as stage:
        total = await ledger_total(stage, _usage("0.300000000003"))
    assert total == Decimal("0.300000000003")


async def test_a_report_that_differs_from_the_ledger_fails_the_demo() -> None:
    async with _stage() as stage:
        with pytest.raises(DemoFailedError, match=r"the report to 0\.3 USD"):
            await ledger_total(stage, _usage("0.3"))


async def test_clean_books_are_returned_at_once() -> None:
    async with _stage() as stage:
        assert await settled(stage) == _CLEAN


@pytest.mark.parametrize(
    "difference",
    [
        {"attempts_without_ledger": 1},
        {"ledger_without_attempt": 1},
        {"duplicate_entries": 1},
        {"open_holds": 1},
        {"expired_holds": 1},
        {"assumed": Assumed(count=1)},
        {"drift_usd": Decimal("-0.000000000001")},
    ],
)
def test_any_difference_is_unclean(difference: dict[str, object]) -> None:
    assert is_clean(_CLEAN)
    assert not is_clean(_CLEAN.model_copy(update=difference))
