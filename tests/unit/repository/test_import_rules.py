"""Each import contract is broken once, so that none of them passes because it checks nothing."""

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.repository import ROOT, python_files, shown

PACKAGES = ("shared", "services", "cli", "simulator", "migrations")
PLANTED = {
    "Services know nothing of each other": (
        "services/inference_worker/use_cases/calling.py",
        "import services.embedding_worker.use_cases",
    ),
    "The command line stands on services, services on shared": (
        "shared/system.py",
        "import services.api",
    ),
    "Inside shared: adapters stand on ports, ports on messages, messages on the domain": (
        "shared/messages/envelope.py",
        "import shared.ports.clock",
    ),
    "Inside a worker: the same names in the same order": (
        "services/cost_aggregator/settings.py",
        "import services.cost_aggregator.use_cases.book_usage",
    ),
    "Inside the API: routes translate, use cases decide": (
        "services/api/use_cases/results.py",
        "import services.api.routes.jobs",
    ),
    "Domain and policies stand on the standard library alone": (
        "services/inference_worker/policies/after_failure.py",
        "import pydantic",
    ),
    "Messages, ports and use cases know no framework": (
        "services/api/use_cases/search.py",
        "import fastapi",
    ),
    "Only the persistence package and the migrations talk SQL": (
        "services/api/parts.py",
        "import sqlalchemy",
    ),
    "Only the persistence package and the local stack's own server connect to PostgreSQL": (
        "cli/api_client.py",
        "import psycopg",
    ),
    "Only providers call out over HTTP; the command line is itself a client": (
        "services/api/checks.py",
        "import httpx",
    ),
    "Only the cost aggregator's adapters send alerts": (
        "services/api/use_cases/admin_alerts.py",
        "import apprise",
    ),
    "Only providers know OpenAI's SDK": ("cli/output.py", "import openai"),
    "Only messaging, subscribers, mains and the result stream know the broker's libraries": (
        "services/api/database.py",
        "import aio_pika",
    ),
    "A service loads no library that only others need: its start is mostly loading": (
        "services/api/parts.py",
        "import rich",
    ),
    "API and aggregator call no provider, and load no provider's library": (
        "services/cost_aggregator/subscribers.py",
        "import httpx",
    ),
    "Workers answer health checks without a web framework": (
        "services/inference_worker/subscribers.py",
        "import starlette",
    ),
    "Only composition roots read settings; two adapters take a settings group as a parameter": (
        "shared/persistence/engine.py",
        "import shared.settings",
    ),
    "Only composition roots bring the real clock and real ids": (
        "services/embedding_worker/subscribers.py",
        "import shared.system",
    ),
    "Only the command line starts the simulator": (
        "services/api/app.py",
        "import simulator.prices",
    ),
    "The simulator shares no code with what it tests": (
        "simulator/prices.py",
        "import shared.domain.pricing",
    ),
    "No cycles between siblings": (
        "shared/domain/ids.py",
        "import shared.domain.jobs",
    ),
}


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    for package in PACKAGES:
        shutil.copytree(
            ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__")
        )
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def _broken_contracts(checkout: Path) -> set[str]:
    lint = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=checkout,
        env={"COLUMNS": "300", "PATH": "", "PYTHONPATH": str(checkout)},
        capture_output=True,
        text=True,
        check=False,
    )
    lines = lint.stdout.splitlines()
    return {line.removesuffix(" BROKEN") for line in lines if line.endswith(" BROKEN")}


def test_every_contract_notices_its_violation(checkout: Path) -> None:
    for file, line in PLANTED.values():
        planted = checkout / file
        planted.write_text(f"{planted.read_text('utf-8')}\n{line}\n", "utf-8")
    assert _broken_contracts(checkout) == set(PLANTED)


def test_a_module_without_a_layer_is_noticed(checkout: Path) -> None:
    for folder in ("shared", "services/inference_worker", "services/api"):
        (checkout / folder / "elsewhere.py").write_text("", "utf-8")
    assert _broken_contracts(checkout) == {
        "Inside shared: adapters stand on ports, ports on messages, messages on the domain",
        "Inside a worker: the same names in the same order",
        "Inside the API: routes translate, use cases decide",
    }


def _imported(file: Path) -> set[str]:
    nodes = list(ast.walk(ast.parse(file.read_text("utf-8"))))
    plain = {name.name for node in nodes if isinstance(node, ast.Import) for name in node.names}
    return plain | {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}


def test_domain_and_policies_import_only_the_standard_library() -> None:
    policies = [folder.relative_to(ROOT) for folder in (ROOT / "services").glob("*/policies")]
    foreign = {
        f"{shown(file)}: {name}"
        for file in python_files("shared/domain", *map(str, policies))
        for name in _imported(file)
        if name.split(".")[0] not in sys.stdlib_module_names
        and not name.startswith(
            ("shared.domain", f"{file.parent.relative_to(ROOT)}".replace("/", "."))
        )
    }
    assert foreign == set()
