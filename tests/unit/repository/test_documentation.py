import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.application import app
from shared.settings import RoutingSettings, StackSettings
from tests.support.repository import ROOT, shown

PAGES = [
    *sorted(ROOT.glob("*.md")),
    *(page for folder in ("docs", "examples") for page in sorted((ROOT / folder).rglob("*.md"))),
]
GLOSSARY = ROOT / "docs/glossary.md"
# The words that style and messages build on; each has one meaning, in the glossary.
WORDS = [
    "Job",
    "Attempt",
    "Command",
    "Event",
    "Envelope",
    "Subscriber",
    "Publisher",
    "Use case",
    "Policy",
    "Port",
    "Adapter",
    "Composition root",
    "Unit of work",
    "Transactional outbox",
    "Idempotent receiver",
    "Dead-letter queue",
    "Competing consumers",
    "Prefetch",
    "Publisher confirm",
    "Provider",
    "Model",
    "Route",
    "Fallback",
    "Rollout",
    "Tier",
    "Usage",
    "Price book",
    "Ledger entry",
    "Hold",
    "Budget",
    "Threshold",
    "Gate",
    "Embedding space",
    "Collection",
    "Ingestion",
    "Receipt",
]


def _page(file: Path) -> str:
    return shown(file)


def _targets_of_make() -> set[str]:
    return set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))


def _commands(pattern: str) -> Iterator[str]:
    for page in PAGES:
        yield from re.findall(pattern, page.read_text("utf-8"))


@pytest.mark.parametrize("page", PAGES, ids=_page)
def test_every_link_leads_to_a_file(page: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text("utf-8"))
    local = [link for link in links if "://" not in link]
    assert [link for link in local if not (page.parent / link).exists()] == []


def test_every_make_target_that_pages_name_exists() -> None:
    named = set(_commands(r"(?:`|^|\n)make ([a-z]+)"))
    assert {"demo", "test"} <= named <= _targets_of_make()


def test_every_command_line_that_pages_show_is_understood() -> None:
    runner = CliRunner()
    shown_lines = [*_commands(r"cli\.main ([^\n`]+)"), *_commands(r"`sluiceway ([a-z][^`]*)`")]
    assert shown_lines
    for line in shown_lines:
        words = [word for word in shlex.split(line) if not word.startswith("-")]
        known = words[:1] if words else []
        result = runner.invoke(app, [*known, "--help"])
        assert result.exit_code == 0, line


@pytest.mark.parametrize("word", WORDS)
def test_the_glossary_explains(word: str) -> None:
    assert f"| {word} |" in GLOSSARY.read_text("utf-8")


def test_every_setting_is_in_the_example() -> None:
    example = (ROOT / ".env.example").read_text("utf-8")
    fields = {**StackSettings.model_fields, **RoutingSettings.model_fields}
    assert [name for field in fields.values() if (name := str(field.alias)) not in example] == []


@pytest.mark.parametrize(
    "record", sorted((ROOT / "docs/decisions").glob("0*.md")), ids=lambda file: file.stem
)
def test_a_decision_has_all_its_parts_and_is_listed(record: Path) -> None:
    headings = re.findall(r"^## (.+)$", record.read_text("utf-8"), re.MULTILINE)
    assert headings == ["Context", "Decision", "Consequences", "Alternatives", "Revisit when"]
    assert f"]({record.name})" in (record.parent / "README.md").read_text("utf-8")
