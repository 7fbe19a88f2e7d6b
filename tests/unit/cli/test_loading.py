import subprocess
import sys

import pytest

_HEAVY = frozenset(
    {"alembic", "fastapi", "faststream", "numpy", "openai", "pydantic", "sqlalchemy", "uvicorn"}
)


def _loaded(module: str) -> set[str]:
    """Return the heavy libraries that a process has loaded once it has loaded a module."""
    code = f"import sys, {module}\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return {*done.stdout.split()} & _HEAVY


@pytest.mark.parametrize(
    ("module", "needed"),
    [
        ("cli.application", {"pydantic"}),
        ("cli.local_stack.launch", set[str]()),
        ("cli.local_stack.supervisor", {"pydantic"}),
        ("simulator.main", {"numpy", "uvicorn"}),
    ],
)
def test_a_process_loads_no_heavy_library_that_it_does_not_need(
    module: str, needed: set[str]
) -> None:
    assert _loaded(module) == needed
