"""Every fault of a routing table is named by file, line and key path."""

import re
from pathlib import Path

import pytest

from shared.domain.errors import RoutingTableError
from shared.providers.routing_file import load_routing_table

_SOUND = """\
[providers.local]
base_url = "http://127.0.0.1:8000/v1"

[candidates.llama]
provider = "cloudflare"
model = "llama"
successor = "gemma"

[candidates.gemma]
provider = "cloudflare"
model = "gemma"

[candidates.luna]
provider = "openai"
model = "luna"
options = { effort = "none" }

[candidates.bge]
provider = "cloudflare"
model = "@cf/baai/bge-m3"

[routes.free]
chat = { order = ["llama", "luna"], hedge = { after_ms = 800, daily_cap_usd = "5" } }
embed = { order = ["bge"] }
[routes.paid]
chat.order = ["llama"]
embed.order = ["bge"]
[routes.premium.chat]
order = [
  "llama",
  "luna",
]
divert = "gemma"
[routes.premium.embed]
order = ["bge"]

[aliases]
"gpt-3.5" = "luna"

[[limits]]
provider = "openai"
tokens_per_minute = 90_000

[[limits]]
provider = "cloudflare"
model = "llama"
requests_per_minute = 300
"""


def _fault(folder: Path, content: str) -> str:
    path = folder / "routing.toml"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(RoutingTableError) as caught:
        load_routing_table(path)
    return str(caught.value).replace(str(path), "routing.toml")


def test_a_sound_table_has_no_fault(tmp_path: Path) -> None:
    path = tmp_path / "routing.toml"
    path.write_text(_SOUND, encoding="utf-8")

    assert load_routing_table(path).successors


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("[aliases]", "[aliases", "37: not TOML: Expected"),
        (
            'model = "luna"',
            'model = "luna"\nmodel = "luna"',
            "16: not TOML: Cannot overwrite",
        ),
        ("requests_per_minute = 300\n", 'x = """', "47: not TOML: Unterminated string"),
        (
            "base_url",
            "base_uri",
            "1: providers.local.base_url: is missing; add it",
        ),
        (
            "base_url",
            "base_uri",
            "; routing.toml:2: providers.local.base_uri: unknown key",
        ),
        ("http://127.0.0.1:8000/v1", "127.0.0.1:8000", "2: providers.local.base_url: write it as"),
        ("127.0.0.1:8000", "127.0.0.1:port", "2: providers.local.base_url: "),
        ("[providers.local]", "[providers.Local]", "1: providers.Local: String should match"),
        ("[providers.local]", "[providers.openai]", "1: providers.openai: is built in"),
        (
            'v1"\n',
            'v1"\nmax_tokens_field = "tokens"\n',
            "3: providers.local.max_tokens_field: Input should be 'max_tokens' or",
        ),
        (
            'provider = "openai"',
            'provider = "acme"',
            "14: candidates.luna.provider: no provider acme; name one of cloudflare, openai, local",
        ),
        (
            'model = "luna"\n',
            "model = 7\n",
            "15: candidates.luna.model: Input should be a valid str",
        ),
        ('effort = "none"', "effort = []", "16: candidates.luna.options.effort: "),
        ('successor = "gemma"', 'successor = "gem"', "7: candidates.llama.successor: no [cand"),
        (
            'successor = "gemma"',
            'successor = "llama"',
            "7: candidates.llama.successor: leads back to the candidate itself",
        ),
        (
            'model = "gemma"',
            'model = "gemma"\nsuccessor = "llama"',
            "; routing.toml:12: candidates.gemma.successor: leads back",
        ),
        (
            'successor = "gemma"',
            'successor = "bge"',
            "7: candidates.llama.successor: bge does not answer what llama answers",
        ),
        ("[routes.free]", "[routes.gold]", "22: routes.gold: Input should be 'free'"),
        (
            '\nembed = { order = ["bge"] }\n',
            "\n",
            "22: routes.free.embed: is missing; add the route",
        ),
        ("chat.order = ", "chat.ordr = ", "26: routes.paid.chat.order: is missing"),
        (
            '\n  "luna",\n',
            '\n  "lunar",\n',
            "31: routes.premium.chat.order.1: no [candidates.lunar]",
        ),
        ('chat.order = ["llama"]', "chat.order = []", "26: routes.paid.chat: has no candidate"),
        (
            'chat.order = ["llama"]',
            'chat.order = ["llama", "llama"]',
            "26: routes.paid.chat: names a candidate twice",
        ),
        (
            'chat = { order = ["llama", "luna"], h',
            'chat = { order = ["llama"], h',
            "23: routes.free.chat: has no second candidate to hedge with",
        ),
        ("after_ms = 800", "after_ms = 0", "23: routes.free.chat.hedge.after_ms: "),
        ("after_ms = 800", 'after_ms = "800"', "23: routes.free.chat.hedge.after_ms: "),
        (
            'daily_cap_usd = "5"',
            "daily_cap_usd = 0.1",
            "23: routes.free.chat.hedge.daily_cap_usd: write an amount of money as a text",
        ),
        ('daily_cap_usd = "5"', "daily_cap_usd = true", "daily_cap_usd: write an amount of money"),
        (
            'divert = "gemma"',
            'divert = "gem"',
            "33: routes.premium.chat.divert: no [candidates.gem]",
        ),
        (
            "[routes.premium.embed]\n",
            '[routes.premium.embed]\ndivert = "bge"\n',
            "34: routes.premium.embed: only chats are diverted and hedged",
        ),
        (
            'embed.order = ["bge"]',
            'embed.order = ["luna"]',
            "27: routes.paid.embed.order.0: no embedding space is declared for openai/luna",
        ),
        (
            '"gpt-3.5" = "luna"',
            '"gpt-3.5" = "gpt-9"',
            "38: aliases.gpt-3.5: no route names the model",
        ),
        ('"gpt-3.5" = "luna"', 'luna = "gemma"', "38: aliases.luna: is a model's own name"),
        ('"gpt-3.5" = "luna"', 'auto = "gemma"', "38: aliases.auto: is a model's own name"),
        ('"openai"\ntokens', '"acme"\ntokens', "41: limits.0.provider: no provider acme"),
        ("tokens_per_minute = 90_000\n", "", "40: limits.0: limits nothing; add"),
        ("= 90_000", "= 0", "42: limits.0.tokens_per_minute: Input should be greater than or"),
        ("= 90_000", "= true", "42: limits.0.tokens_per_minute: Input should be a valid integer"),
        (
            'model = "llama"\nrequests',
            'model = "lamp"\nrequests',
            "46: limits.1.model: no candidate is cloudflare/lamp",
        ),
    ],
)
def test_a_fault_is_named_by_file_line_and_key(
    tmp_path: Path, old: str, new: str, fault: str
) -> None:
    assert old in _SOUND

    told = _fault(tmp_path, _SOUND.replace(old, new, 1))

    assert re.match(r"routing\.toml:\d+: ", told)
    assert fault in told


def test_a_table_without_routes_is_named_at_its_first_line(tmp_path: Path) -> None:
    told = _fault(tmp_path, '[candidates.a]\nprovider = "openai"\nmodel = "a"\n')

    assert told == "routing.toml:1: routes: is missing; add it"


def test_every_fault_is_told_at_once(tmp_path: Path) -> None:
    wrong = _SOUND.replace('"openai"', '"acme"').replace('order = ["bge"]', 'order = ["bg"]')

    assert _fault(tmp_path, wrong).count("routing.toml:") == 5


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(RoutingTableError, match=r"absent\.toml: "):
        load_routing_table(tmp_path / "absent.toml")


def test_a_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    path = tmp_path / "routing.toml"
    path.write_bytes(b"\xff")

    with pytest.raises(RoutingTableError, match=r"routing\.toml: "):
        load_routing_table(path)
