"""The limits of coverage are part of what CI runs, and speak of files that exist."""

import re
import subprocess

from tests.support.repository import ROOT, python_files, shown


def _recipe() -> str:
    done = subprocess.run(
        ["make", "--dry-run", "test"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return done.stdout


def test_ci_runs_the_gate() -> None:
    assert "make test" in (ROOT / ".ci" / "run").read_text("utf-8")
    recipe = _recipe()
    assert recipe.index("coverage run -m pytest") < recipe.index("--fail-under=100")
    assert "coverage report --fail-under=95" in recipe


def test_every_rule_is_held_to_the_higher_limit() -> None:
    found = re.search(r"--include='([^']+)' --fail-under=100", _recipe())
    assert found is not None
    patterns = [pattern.replace("*/", "[^/]+/") for pattern in found[1].split(",")]
    held = {
        folder
        for file in map(shown, python_files("shared", "services"))
        for folder in [file.rpartition("/")[0]]
        if any(re.match(pattern.removesuffix("*"), file) for pattern in patterns)
    }
    assert "shared/domain" in held
    for service in ("inference_worker", "embedding_worker", "cost_aggregator"):
        assert {f"services/{service}/policies", f"services/{service}/use_cases"} <= held
    assert "services/api/use_cases" in held
