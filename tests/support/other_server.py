"""A server with OpenAI's API that somebody else wrote: LiteLLM's proxy, in a throw-away venv.

Its models answer what its configuration says (`mock_response`), so that no provider is called.
"""

import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx

from cli.local_stack.ports import free_ports

LITELLM = "litellm[proxy]==1.99.4"
KEY = "sk-other-server"
ANSWERS, VECTORS = "answers", "vectors"
MODELS = frozenset({"rate_limited", "down", "retired"})
"""Models that fail as the simulator's modes of these names do; `retired` is not there at all."""
_STARTS_WITHIN_SECONDS = 240
_CONFIGURATION = f"""\
model_list:
  - model_name: answers
    litellm_params: {{model: openai/m, api_key: none, mock_response: "Good day to you, friend."}}
  - model_name: rate_limited
    litellm_params: {{model: openai/m, api_key: none, mock_response: litellm.RateLimitError}}
  - model_name: down
    litellm_params: {{model: openai/m, api_key: none, mock_response: litellm.InternalServerError}}
  - model_name: vectors
    litellm_params: {{model: openai/e, api_key: none, mock_response: [0.5, 0.25, -1.0]}}
general_settings:
  master_key: {KEY}
litellm_settings:
  num_retries: 0
"""
_OFFLINE = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "PATH": "/usr/bin:/bin"}


@dataclass(frozen=True, slots=True)
class OtherServer:
    """A running server."""

    base_url: str


@contextmanager
def litellm_server(folder: Path) -> Generator[OtherServer]:
    """Install and run the proxy for the time of the block; the installation takes minutes."""
    programs = _installed(folder / "venv")
    configuration = folder / "litellm.yaml"
    configuration.write_text(_CONFIGURATION, encoding="utf-8")
    [port] = free_ports(1)
    command = [str(programs / "litellm"), "--config", str(configuration), "--host", "127.0.0.1"]
    with (folder / "litellm.log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "--port", str(port)],
            stdout=log,
            stderr=log,
            env={**_OFFLINE, "HOME": str(folder)},
            cwd=folder,
        )
        try:
            _await_start(f"http://127.0.0.1:{port}/health/liveliness", process)
            yield OtherServer(f"http://127.0.0.1:{port}/v1")
        finally:
            process.terminate()
            process.wait(timeout=30)


def _installed(venv: Path) -> Path:
    subprocess.run([sys.executable, "-m", "venv", venv], check=True)
    programs = venv / "bin"
    subprocess.run([programs / "python", "-m", "pip", "install", "--quiet", LITELLM], check=True)
    return programs


def _await_start(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _STARTS_WITHIN_SECONDS
    while time.monotonic() < deadline:
        with suppress(subprocess.TimeoutExpired):
            raise RuntimeError(f"the other server ended with status {process.wait(timeout=0.5)}")
        with suppress(httpx.HTTPError):
            if httpx.get(url, timeout=2).is_success:
                return
    raise RuntimeError("the other server did not start in time")
