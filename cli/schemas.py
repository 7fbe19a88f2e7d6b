"""Writes `schemas/` from the code: `python -m cli.schemas`, or `--check` to only compare.

Invariant: the same code gives the same bytes, and no broker or database is asked.
"""

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path

import orjson
from pydantic import JsonValue

from services.api.openapi import document
from shared.messages.schemas import MESSAGE_BY_NAME, message_schema
from shared.messaging.asyncapi import asyncapi_document

SCHEMAS = Path(__file__).resolve().parent.parent / "schemas"
_VERSION = "1"


def generated() -> Mapping[str, bytes]:
    """Return the content of every file by its path inside `schemas/`."""
    return {
        "openapi.json": document() + b"\n",
        "asyncapi.json": _json(asyncapi_document(_VERSION)),
        **{
            f"messages/{name}.json": _json(message_schema(message))
            for name, message in MESSAGE_BY_NAME.items()
        },
    }


def differences(folder: Path) -> list[str]:
    """Return the paths that are missing, different, or there without reason."""
    files = generated()
    present = {str(file.relative_to(folder)): file for file in folder.rglob("*.json")}
    stale = {name for name, file in present.items() if file.read_bytes() != files.get(name)}
    return sorted(stale | (files.keys() - present.keys()))


def write(folder: Path) -> None:
    """Make the folder hold exactly what is generated."""
    for name in differences(folder):
        (folder / name).unlink(missing_ok=True)
    for name, content in generated().items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)


def main() -> int:
    """Write the schemas, or compare them; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m cli.schemas", description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing, fail on differences")
    options = parser.parse_args()
    if not options.check:
        write(SCHEMAS)
        return 0
    changed = differences(SCHEMAS)
    for name in changed:
        sys.stderr.write(f"schemas/{name} differs from the code: run `make schemas`\n")
    return 1 if changed else 0


def _json(value: dict[str, JsonValue]) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS) + b"\n"


if __name__ == "__main__":
    sys.exit(main())
