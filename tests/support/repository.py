"""The files of this project, as a reader of a fresh checkout sees them."""

from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CODE = (
    *("shared", "services", "cli", "simulator", "migrations"),
    *("tests", "benchmarks", "examples"),
)
_TOP_FILES = ("*.md", "*.toml", "*.in", "*.txt", "*.yml", "Makefile", "Dockerfile", ".env.example")
_TOP_FOLDERS = (*CODE, "docs", "deploy", "prices", "schemas", ".ci")


def python_files(*folders: str) -> Iterator[Path]:
    """Give every Python file below the folders, all of the code by default."""
    for folder in folders or CODE:
        yield from sorted((ROOT / folder).rglob("*.py"))


def text_files() -> Iterator[Path]:
    """Give every file that people or programs read as text."""
    for pattern in _TOP_FILES:
        yield from sorted(ROOT.glob(pattern))
    for folder in _TOP_FOLDERS:
        for file in sorted((ROOT / folder).rglob("*")):
            if file.is_file() and "__pycache__" not in file.parts:
                yield file


def shown(file: Path) -> str:
    """Return a file's path as the project writes it."""
    return str(file.relative_to(ROOT))
