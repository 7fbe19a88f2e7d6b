"""Providers' lists of models: the same promises against the simulator and recorded answers."""

from collections.abc import Mapping, Sequence
from datetime import date
from urllib.parse import parse_qs, urlsplit

import pytest

from shared.domain.catalog import CLOUDFLARE, OPENAI, Provider
from shared.domain.errors import ProviderPermanentError, ProviderTransientError
from shared.domain.model_states import ListedModel
from shared.providers.limits import TimeLimits
from shared.providers.model_lists import list_limits
from shared.providers.registry import Providers
from tests.support.local_providers import LIMITS, SimulatorClient, providers_at
from tests.support.replay_server import ReplayServer, Reply, json_reply

Json = Mapping[str, object]
EVERY_PROVIDER = pytest.mark.parametrize("provider", [CLOUDFLARE, OPENAI])
LLAMA = "@cf/meta/llama-3.1-8b-instruct-fast"
RETIRED = "@cf/meta/llama-3.1-8b-instruct"
MINI = "gpt-4o-mini"


def _cloudflare(name: object, end: object = None) -> Json:
    """Return a model as Cloudflare's search lists it: the end is one of its properties."""
    properties: list[Json] = [{"property_id": "context_window", "value": "60000"}]
    if end is not None:
        properties.append({"property_id": "planned_deprecation_date", "value": end})
    return {"id": "b7e1", "source": 1, "name": name, "tags": [], "properties": properties}


def _page(*models: Json, total: int | None = None) -> Reply:
    info: Json = {} if total is None else {"total_count": total, "per_page": 100}
    return json_reply({"success": True, "errors": [], "result": models, "result_info": info})


def _openai(name: object, end: object = None) -> Json:
    return {"id": name, "object": "model", "created": 1, "owned_by": "x", "shutdown_date": end}


def _list(*models: Json, **more: object) -> Reply:
    return json_reply({"object": "list", "data": models, **more})


async def _failure(providers: Providers, provider: Provider) -> str:
    with pytest.raises((ProviderTransientError, ProviderPermanentError)) as caught:
        await providers.catalogues[provider].list_models()
    return str(caught.value)


def _ends(models: Sequence[ListedModel]) -> Mapping[str, date | None]:
    return {one.model: one.retires_on for one in models}


async def test_cloudflare_lists_living_and_retired_models(simulated: Providers) -> None:
    ends = _ends(await simulated.catalogues[CLOUDFLARE].list_models())

    assert ends[LLAMA] is None
    assert ends[RETIRED] == date(2026, 5, 30)


async def test_openai_lists_what_lives_with_its_end(
    simulator: SimulatorClient, simulated: Providers
) -> None:
    ends = _ends(await simulated.catalogues[OPENAI].list_models())
    end = ends[MINI]
    assert end is not None
    assert ends["gpt-6-luna"] is None

    await simulator.http.put(f"{simulator.url}/_control", json={"clock": f"{end}T00:00:00Z"})

    assert MINI not in _ends(await simulated.catalogues[OPENAI].list_models())


async def test_cloudflare_is_asked_for_every_page_and_for_the_retired(
    replay: ReplayServer, replayed: Providers
) -> None:
    replay.replies = [
        _page(_cloudflare("@cf/a", "2026-12-24"), _cloudflare("@cf/b"), total=3),
        _page(_cloudflare("@cf/c", "2026-05-30T00:00:00Z"), total=3),
    ]

    ends = _ends(await replayed.catalogues[CLOUDFLARE].list_models())

    assert ends == {"@cf/a": date(2026, 12, 24), "@cf/b": None, "@cf/c": date(2026, 5, 30)}
    asked = [urlsplit(request.path) for request in replay.requests]
    assert {url.path for url in asked} == {"/client/v4/accounts/account/ai/models/search"}
    assert [parse_qs(url.query)["page"] for url in asked] == [["1"], ["2"]]
    assert all(parse_qs(url.query)["include_deprecated"] == ["true"] for url in asked)


async def test_without_a_total_pages_are_read_until_one_is_empty(
    replay: ReplayServer, replayed: Providers
) -> None:
    replay.replies = [_page(_cloudflare("@cf/a")), _page(_cloudflare("@cf/b")), _page()]

    models = await replayed.catalogues[CLOUDFLARE].list_models()

    assert [one.model for one in models] == ["@cf/a", "@cf/b"]


async def test_an_empty_page_is_the_end_whatever_total_was_promised(
    replay: ReplayServer, replayed: Providers
) -> None:
    replay.replies = [_page(_cloudflare("@cf/a"), total=7), _page(total=7)]

    models = await replayed.catalogues[CLOUDFLARE].list_models()

    assert [one.model for one in models] == ["@cf/a"]


async def test_a_server_without_pages_gives_all_at_once(
    replay: ReplayServer, replayed: Providers
) -> None:
    replay.replies = [_page(_cloudflare("@cf/a"), _cloudflare("@cf/b"))]

    models = await replayed.catalogues[CLOUDFLARE].list_models()

    assert ([one.model for one in models], len(replay.requests)) == (["@cf/a", "@cf/b"], 2)


async def test_a_page_that_comes_again_and_again_is_no_whole_list(
    replay: ReplayServer, replayed: Providers
) -> None:
    replay.replies = [_page(_cloudflare("@cf/a"), total=7)]

    assert (await _failure(replayed, CLOUDFLARE)).startswith("malformed")
    assert len(replay.requests) == 2


async def test_a_list_without_an_end_is_no_list(replay: ReplayServer, replayed: Providers) -> None:
    replay.replies = [_page(*(_cloudflare(f"@cf/{n}") for n in range(20_001)))]

    assert (await _failure(replayed, CLOUDFLARE)).startswith("malformed")


async def test_a_page_that_fails_leaves_no_part_of_a_list(
    replay: ReplayServer, replayed: Providers
) -> None:
    replay.replies = [_page(_cloudflare("@cf/a"), total=2), Reply((b"<html>",), 502)]

    assert (await _failure(replayed, CLOUDFLARE)).startswith("http_502")


async def test_a_refused_token_makes_room_for_the_next(replay: ReplayServer) -> None:
    providers = providers_at(replay.url, tokens="old,new")
    replay.replies = [
        json_reply({"success": False, "errors": [{"code": 10000}]}, 401),
        _page(_cloudflare("@cf/a"), total=1),
    ]

    await providers.catalogues[CLOUDFLARE].list_models()
    await providers.aclose()

    sent = [request.headers["authorization"] for request in replay.requests]
    assert sent == ["Bearer old", "Bearer new"]


async def test_a_compatible_server_tells_no_ends(replay: ReplayServer, replayed: Providers) -> None:
    replay.replies = [_list({"id": "qwen3", "object": "model", "owned_by": "vllm"})]

    assert await replayed.catalogues[OPENAI].list_models() == [ListedModel("qwen3")]
    assert replay.requests[0].path == "/v1/models"


@pytest.mark.parametrize(
    ("provider", "reply"),
    [
        (CLOUDFLARE, _page()),
        (CLOUDFLARE, _page(_cloudflare(None))),
        (CLOUDFLARE, _page(_cloudflare("@cf/a", "soon"))),
        (CLOUDFLARE, json_reply({"success": True, "result": ["@cf/a"]})),
        (CLOUDFLARE, json_reply({"success": True, "result": {}})),
        (CLOUDFLARE, Reply((b"<html>",))),
        (CLOUDFLARE, Reply((b" " * (1024 * 1024),) * 9)),
        (OPENAI, _list()),
        (OPENAI, _list(_openai(7))),
        (OPENAI, _list(_openai("m", "2027-13-01"))),
        (OPENAI, _list(_openai("m"), has_more=True)),
        (OPENAI, json_reply({"object": "list"})),
        (OPENAI, Reply((b"<html>",))),
        (OPENAI, Reply((b" " * (1024 * 1024),) * 9)),
    ],
)
async def test_what_is_no_whole_list_is_no_list(
    replay: ReplayServer, replayed: Providers, provider: Provider, reply: Reply
) -> None:
    replay.replies = [reply]

    assert (await _failure(replayed, provider)).startswith("malformed")


@pytest.mark.parametrize(
    ("provider", "reply", "code"),
    [
        (CLOUDFLARE, json_reply({"success": False, "errors": [{"code": 10000}]}, 403), "10000"),
        (CLOUDFLARE, json_reply({"success": False, "errors": [{"code": 7003}]}), "7003"),
        (CLOUDFLARE, Reply((b"{",), length=100), "connection"),
        (OPENAI, json_reply({"error": {"code": "invalid_api_key"}}, 401), "invalid_api_key"),
        (OPENAI, json_reply({}, 404), "http_404"),
        (OPENAI, Reply((b"{",), length=100), "connection"),
    ],
)
async def test_a_failure_is_told_in_our_words(
    replay: ReplayServer, replayed: Providers, provider: Provider, reply: Reply, code: str
) -> None:
    replay.replies = [reply]

    assert (await _failure(replayed, provider)).startswith(f"{code}: {provider}: ")


@EVERY_PROVIDER
async def test_a_server_that_is_not_there_is_a_connection_failure(provider: Provider) -> None:
    providers = providers_at("http://127.0.0.1:1")

    assert (await _failure(providers, provider)).startswith("connection")
    await providers.aclose()


@EVERY_PROVIDER
async def test_a_silent_server_costs_no_more_than_the_limit(
    replay: ReplayServer, replayed: Providers, provider: Provider
) -> None:
    replay.replies = [Reply((b"{",), length=100, hangs=True)]

    assert (await _failure(replayed, provider)).startswith("timeout_")


def test_a_list_takes_half_a_minute_at_most() -> None:
    assert list_limits(TimeLimits()).total == 30.0
    assert list_limits(LIMITS).total == LIMITS.total
