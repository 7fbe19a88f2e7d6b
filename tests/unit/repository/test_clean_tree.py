import re
from pathlib import Path

import pytest

from tests.support.repository import ROOT, python_files, shown, text_files

LOCKS = sorted(ROOT.glob("requirements*.txt"))
UNFINISHED = re.compile(r"\b(?:TO[D]O|FIX[M]E|XX[X]|HAC[K])\b")
PLACES = re.compile(
    r"/wor[k]/|/hom[e]/[a-z]|(?<![\w.$-])/roo[t]\b"
    r"|pypi\.org|pythonhoste[d]\.org|artifactor[y]|jfro[g]|registry\.npmjs|ghcr\.io|index-ur[l]"
)
VAGUE = frozenset({"task", "tasks", "manager", "helper", "helpers", "utils", "common", "base"})


def _hits(pattern: re.Pattern[str]) -> list[str]:
    return [
        f"{shown(file)}:{number}: {line.strip()[:80]}"
        for file in text_files()
        for number, line in enumerate(file.read_text("utf-8", "replace").splitlines(), 1)
        if pattern.search(line)
    ]


def test_nothing_is_left_to_do() -> None:
    assert _hits(UNFINISHED) == []


def test_nothing_is_a_stub() -> None:
    stubs = [
        shown(file)
        for file in python_files("shared", "services", "cli", "simulator")
        if "NotImplementedError" in file.read_text("utf-8")
    ]
    assert stubs == []


def test_no_file_names_a_machine_or_a_package_index() -> None:
    # The Makefile names the option that keeps addresses out of the locks.
    assert [hit for hit in _hits(PLACES) if not hit.startswith("Makefile:")] == []


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_every_locked_package_has_a_hash_and_no_address(lock: Path) -> None:
    text = lock.read_text("utf-8")
    assert "://" not in text
    for pinned in re.split(r"\n(?=\S)", text):
        assert pinned.startswith("#") or "--hash=sha256:" in pinned, pinned[:80]


def test_module_names_say_what_is_inside() -> None:
    vague = [shown(file) for file in python_files() if VAGUE & set(file.stem.split("_"))]
    assert vague == []


def test_one_file_catches_everything() -> None:
    broad = re.compile(r"except (?:Base)?Exception\b|except:")
    catchers = {
        shown(file)
        for file in python_files("shared", "services", "cli", "simulator")
        if broad.search(file.read_text("utf-8"))
    }
    assert catchers == {"shared/messaging/acknowledgement.py"}
