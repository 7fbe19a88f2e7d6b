"""Which processes a stack consists of, and what each is told by its environment."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cli.local_stack.environment import inherited_environment
from cli.local_stack.launch import MODULE as LAUNCH
from cli.local_stack.ports import LOOPBACK
from cli.local_stack.processes import ProcessSpec

PROJECT = Path(__file__).resolve().parents[2]
MODULE_BY_SERVICE = {
    "api": "services.api.main",
    "inference": "services.inference_worker.main",
    "embedding": "services.embedding_worker.main",
    "aggregator": "services.cost_aggregator.main",
}
DEFAULT_SCALE = {"api": 1, "inference": 2, "embedding": 1, "aggregator": 1}


@dataclass(frozen=True, slots=True)
class Service:
    """One process that answers HTTP, and the address that says whether it is ready."""

    spec: ProcessSpec
    ready_url: str


def service_names(scale: Mapping[str, int]) -> list[tuple[str, str]]:
    """Return (process name, module) of every service process, APIs first."""
    return [
        (f"{service}-{number}", module)
        for service, module in MODULE_BY_SERVICE.items()
        for number in range(1, scale.get(service, 0) + 1)
    ]


def make_service(
    name: str, module: str, port: int, settings: Mapping[str, str], logs: Path
) -> Service:
    """Return a service process that listens on the loopback interface."""
    own = {
        "SLUICEWAY_PROCESS_NAME": name,
        "SLUICEWAY_HTTP_HOST": LOOPBACK,
        "SLUICEWAY_HTTP_PORT": str(port),
    }
    spec = ProcessSpec(
        name=name,
        arguments=(sys.executable, "-m", LAUNCH, module),
        environment=inherited_environment() | dict(settings) | own,
        log_file=logs / f"{name}.log",
    )
    return Service(spec, f"http://{LOOPBACK}:{port}/readyz")


def make_simulator(port: int, home: Path, logs: Path) -> Service:
    """Return the process that stands in for both providers; its bill stays in the home."""
    options = ("--port", str(port), "--home", str(home / "simulator"))
    spec = ProcessSpec(
        name="simulator",
        arguments=(sys.executable, "-m", "simulator", *options),
        environment=inherited_environment(),
        log_file=logs / "simulator.log",
    )
    return Service(spec, f"http://{LOOPBACK}:{port}/healthz")


def simulator_settings(port: int) -> dict[str, str]:
    """Return what points a service at the simulator instead of the providers."""
    return {
        "CLOUDFLARE_ACCOUNT_ID": "simulated",
        "CLOUDFLARE_API_TOKEN": "simulated",
        "CLOUDFLARE_AI_GATEWAY_URL": f"http://{LOOPBACK}:{port}/client/v4",
        "OPENAI_API_KEY": "simulated",
        "OPENAI_BASE_URL": f"http://{LOOPBACK}:{port}/v1",
        "SLUICEWAY_SIMULATED": "1",
        "SLUICEWAY_RATE_LIMITS": "false",
    }
