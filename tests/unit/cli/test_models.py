"""`sluiceway models`: what people and programs read, and the exit status."""

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping

import pytest
from typer.testing import CliRunner, Result

from cli.application import app
from tests.support.replay_server import ReplayServer, json_reply, replay_server

Json = Mapping[str, object]
_ASKED: Json = {"id": 7, "requested_at": "2026-11-23T12:00:00Z", "finished_at": None}
_DONE: Json = {**_ASKED, "finished_at": "2026-11-23T12:00:01Z"}


def _providers(state: str, error: str | None = None) -> Json:
    model = {
        "model": "luna",
        "state": state,
        "retires_on": "2026-12-20",
        "successor": "openai/sol",
        "checked_at": "2026-11-23T12:00:00Z",
    }
    return {
        "data": [
            {
                "provider": "openai",
                "models": [model],
                "list_checked_at": None,
                "list_error": error,
                "circuits": [],
            }
        ]
    }


@pytest.fixture
async def api() -> AsyncGenerator[ReplayServer]:
    async with replay_server() as server:
        yield server


async def _run(api: ReplayServer, *words: str) -> Result:
    access = ("--url", api.url, "--key", "admin")
    return await asyncio.to_thread(CliRunner().invoke, app, [*access, *words])


async def test_models_are_a_table(api: ReplayServer) -> None:
    api.replies = [json_reply(_providers("retiring"))]
    result = await _run(api, "models")
    header, row = result.stdout.splitlines()
    assert header.split() == [
        "provider",
        "model",
        "state",
        "retires_on",
        "successor",
        "checked_at",
    ]
    assert row.split() == [
        "openai",
        "luna",
        "retiring",
        "2026-12-20",
        "openai/sol",
        "2026-11-23T12:00:00Z",
    ]
    assert result.exit_code == 0


async def test_a_check_waits_for_its_results(api: ReplayServer) -> None:
    api.replies = [
        json_reply(_ASKED, 202),
        json_reply(_ASKED),
        json_reply(_DONE),
        json_reply(_providers("listed")),
    ]
    result = await _run(api, "--json", "models", "check")
    assert json.loads(result.stdout) == _providers("listed")
    assert result.exit_code == 0
    assert [request.path for request in api.requests] == [
        "/v1/admin/providers/check",
        "/v1/admin/providers/checks/7",
        "/v1/admin/providers/checks/7",
        "/v1/admin/providers",
    ]


@pytest.mark.parametrize(
    ("state", "error", "status"),
    [
        ("listed", None, 0),
        ("retiring", None, 0),
        ("unknown", None, 0),
        ("retired", None, 1),
        ("missing", None, 1),
        ("listed", "timeout", 1),
    ],
)
async def test_a_check_fails_for_models_that_are_gone_and_lists_that_are_unread(
    api: ReplayServer, state: str, error: str | None, status: int
) -> None:
    api.replies = [
        json_reply(_ASKED, 202),
        json_reply(_DONE),
        json_reply(_providers(state, error)),
    ]
    assert (await _run(api, "models", "check")).exit_code == status


async def test_an_unread_list_is_told_beside_the_table(api: ReplayServer) -> None:
    api.replies = [json_reply(_providers("unknown", "timeout_total: openai: slow"))]
    result = await _run(api, "models")
    assert result.stderr == (
        "the list of openai cannot be read, its models are as of never: timeout_total: openai: "
        "slow\n"
    )


async def test_a_check_that_nobody_makes_is_a_failure(
    api: ReplayServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cli.commands.models._PATIENCE_SECONDS", 0.0)
    api.replies = [json_reply(_ASKED, 202), json_reply(_ASKED)]
    result = await _run(api, "models", "check")
    assert result.exit_code == 1
    assert "does an inference worker run?" in result.stderr
