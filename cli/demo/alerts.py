"""Reads the alerts where they go when no alert address is set: the aggregators' logs."""

import json
from pathlib import Path

_EVENT = "budget.alert"


def logged_alerts(logs: Path) -> list[str]:
    """Return the alerts' sentences, oldest first; lines that are no JSON are skipped."""
    return [
        alert
        for file in sorted(logs.glob("aggregator-*.log"))
        for line in file.read_text("utf-8", errors="replace").splitlines()
        if (alert := _alert(line)) is not None
    ]


def _alert(line: str) -> str | None:
    if _EVENT not in line:
        return None
    try:
        match json.loads(line):
            case {"event": "budget.alert", "alert": str() as alert}:
                return alert
            case _:
                return None
    except ValueError:
        return None
